package boot

import (
	"encoding/binary"
)

// maxAPMBlock is the largest block size of an Apple partition map; its entries
// then still lie in the system area.
const maxAPMBlock = 4096

// APM is an Apple partition map.
type APM struct {
	BlockSize  int64          `json:"block_size"`
	Partitions []APMPartition `json:"partitions"`
}

// APMPartition is an entry of the map. First and Count are sectors of 512 bytes,
// whatever the block size of the map is.
type APMPartition struct {
	Number int    `json:"number"`
	Name   string `json:"name"`
	Type   string `json:"type"`
	First  int64  `json:"first"`
	Count  int64  `json:"count"`
	Status uint32 `json:"status"`
	Role   Role   `json:"role"`
}

// presetRole is the role that type and name tell.
func (p APMPartition) presetRole() Role {
	switch p.Type {
	case "ISO9660_data":
		if p.First > systemAreaSectors {
			return RoleGap
		}
	case "Apple_HFS":
		if p.Name == "HFSPLUS_Hybrid" {
			return RoleHFS
		}
	}
	return ""
}

// parseAPM reads the map; nil where there is none. The block size comes from the
// first block, or, where boot code lies over it, from where the entries are.
func parseAPM(area []byte) *APM {
	sizes := []int64{2048, 512, 1024, maxAPMBlock}
	if string(area[:2]) == "ER" {
		sizes = append([]int64{int64(binary.BigEndian.Uint16(area[2:]))}, sizes...)
	}
	for _, size := range sizes {
		if size < sectorSize || size > maxAPMBlock || size%sectorSize != 0 || string(area[size:size+2]) != "PM" {
			continue
		}
		return &APM{BlockSize: size, Partitions: parseAPMEntries(area, size)}
	}
	return nil
}

func parseAPMEntries(area []byte, size int64) (ps []APMPartition) {
	for i := 1; ; i++ {
		off := int64(i) * size
		if off+sectorSize > int64(len(area)) || string(area[off:off+2]) != "PM" {
			return ps
		}
		b, per := area[off:], size/sectorSize
		ps = append(ps, APMPartition{
			Number: i, Name: text(b[16:48]), Type: text(b[48:80]),
			First:  int64(binary.BigEndian.Uint32(b[8:])) * per,
			Count:  int64(binary.BigEndian.Uint32(b[12:])) * per,
			Status: binary.BigEndian.Uint32(b[88:]),
		})
	}
}
