module github.com/isolayer/isolayer

go 1.26
