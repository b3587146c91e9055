package handlers

// What tests outside of the package look at.
//
//nolint:gochecknoglobals // only tests see them
var EventLine = eventLine
