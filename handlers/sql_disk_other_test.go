//go:build !linux

package handlers_test

import "errors"

func mountTiny(string) (unmount func(), err error) { return nil, errors.New("not Linux") }
