// Package generate writes source files and descriptions for other programs from a
// configuration, so that no bot types the name of a channel by hand.
//
// What it writes follows from the configuration alone: the same one gives the same
// bytes, and a change that concerns other channels changes no name.
package generate
