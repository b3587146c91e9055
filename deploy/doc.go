// Package deploy holds no Go, only tests of the deployment files beside it.
package deploy
