package routesfile

import "signalbox/router"

// OptionsOf lists the options of a kind: the keys that its [handlers.NAME] table may have
// and [Load] decodes, in the order in which the kind's struct declares them.
func OptionsOf(kind router.KindInfo) []Key {
	return keyOfKind(Key{Path: "handlers", Table: "[handlers.NAME]"}, kindOfHandler(kind)).Keys
}
