module github.com/isolayer/isolayer

go 1.26.0

require golang.org/x/sys v0.49.0

require (
	github.com/bmatcuk/doublestar/v4 v4.10.4 // indirect
	github.com/google/go-cmp v0.7.0 // indirect
	pgregory.net/rapid v1.3.0 // indirect
)
