package iso9660

import "encoding/binary"

// The both-byte-order fields of ECMA-119 7.2.3 and 7.3.3: little-endian half,
// then big-endian half.

// both16 returns the little-endian half and whether the other half agrees.
func both16(b []byte) (v uint16, agree bool) {
	v = binary.LittleEndian.Uint16(b)
	return v, v == binary.BigEndian.Uint16(b[2:])
}

// both32 returns the little-endian half and whether the other half agrees.
func both32(b []byte) (v uint32, agree bool) {
	v = binary.LittleEndian.Uint32(b)
	return v, v == binary.BigEndian.Uint32(b[4:])
}

func putBoth16(b []byte, v uint16) {
	binary.LittleEndian.PutUint16(b, v)
	binary.BigEndian.PutUint16(b[2:], v)
}

func putBoth32(b []byte, v uint32) {
	binary.LittleEndian.PutUint32(b, v)
	binary.BigEndian.PutUint32(b[4:], v)
}
