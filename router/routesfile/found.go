package routesfile

// Found reports whether there is a configuration to load: one was named, or one is
// where Load looks when none is.
func (s Source) Found() bool {
	if len(s.Paths) > 0 {
		return true
	}
	_, err := s.standard()
	return err == nil
}
