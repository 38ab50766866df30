package iso9660

// Session is one session of a multi-session image.
type Session struct {
	Start    LBA    `json:"start"`     // its descriptors begin 16 blocks behind
	Blocks   uint32 `json:"blocks"`    // volume space size
	VolumeID string `json:"volume_id"` //
	Active   bool   `json:"active"`    // its tree is the one described at block 16
}

const maxSessions = 99 // what a CD can hold

// Sessions returns the sessions of the image, oldest first; one for an
// ordinary image.
func (img *Image) Sessions() []Session { return img.sessions }

// findSessions follows the chain of sessions: each begins behind the end of the
// one before, rounded up to 16 blocks (genisoimage) or 32 (xorriso, which lets
// a chain begin at block 32 and keeps a copy of the newest descriptor at 16).
func (img *Image) findSessions() []Session {
	active := Session{Start: 0, Blocks: img.primary.SpaceSize(), VolumeID: img.primary.VolumeID(), Active: true}
	if chain := img.chain(32); len(chain) > 0 {
		for i := range chain {
			d, _ := img.descriptorAt(chain[i].Start)
			chain[i].Active = d != nil && d.Root().LBA() == img.primary.Root().LBA()
			if chain[i].Active {
				return append(chain[:i:i], chain[i:]...)
			}
		}
		return append(chain, active)
	}
	return append([]Session{active}, img.chain(int64(active.Blocks))...)
}

// chain lists the sessions from the first one that begins at or behind block from.
func (img *Image) chain(from int64) []Session {
	var out []Session
	for last := int64(0); len(out) < maxSessions; {
		start := (from + 15) &^ 15
		d, ok := img.descriptorAt(LBA(start))
		if !ok {
			start = (from + 31) &^ 31
			d, ok = img.descriptorAt(LBA(start))
		}
		if !ok || start <= last || start*BlockSize >= img.size {
			break
		}
		last = start
		out = append(out, Session{Start: LBA(start), Blocks: d.SpaceSize(), VolumeID: d.VolumeID()})
		// The space size counts from block 0 in some writers, from the session in others.
		end := int64(d.SpaceSize())
		if end <= start {
			end += start
		}
		from = end
	}
	return out
}

// descriptorAt returns the primary descriptor of a session that begins at start.
func (img *Image) descriptorAt(start LBA) (*Descriptor, bool) {
	raw := make([]byte, BlockSize)
	if n, _ := img.r.ReadAt(raw, (start + 16).Offset()); n < BlockSize {
		return nil, false
	}
	if raw[0] != TypePrimary || string(raw[1:6]) != "CD001" {
		return nil, false
	}
	return &Descriptor{Block: start + 16, Raw: raw}, true
}
