package extent

// Memory is a source of bytes in memory, which must not be changed afterwards. name is for
// people.
func Memory(name string, content []byte) Source {
	m := &Map{}
	if len(content) > 0 {
		m.push(BytesOf(0, content))
	}
	return &Composed{name, m}
}
