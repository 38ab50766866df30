package localtree

import (
	"io/fs"

	"github.com/isolayer/isolayer/extent"
)

// Sources makes sources of local files, one for all names of a file. It is for one
// goroutine.
type Sources struct {
	files *extent.Files
	known map[Key]*extent.File
}

// NewSources returns sources whose files are opened and closed by files.
func NewSources(files *extent.Files) *Sources {
	return &Sources{files: files, known: map[Key]*extent.File{}}
}

// Of returns the source for a regular file that info describes. A file with several names
// is remembered, with all also one that has but one name and may be met again.
func (s *Sources) Of(p string, info fs.FileInfo, all bool) (*extent.File, error) {
	key, several := KeyOf(info)
	if key == (Key{}) || !several && !all {
		return s.files.AddInfo(p, info)
	}
	if f := s.known[key]; f != nil {
		return f, nil
	}
	f, err := s.files.AddInfo(p, info)
	if err == nil {
		s.known[key] = f
	}
	return f, err
}
