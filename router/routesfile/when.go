package routesfile

import (
	"signalbox/router"
	"signalbox/router/routesfile/condition"
)

// conditionOf compiles what a route says under when. It is nil without that, or when
// it is wrong or not known.
func (e *expander) conditionOf(raw *rawRoute) router.Condition {
	n := raw.node.sure("when")
	if n == nil {
		return nil
	}
	text, ok := n.value.(string)
	if !ok || e.report.full() {
		return nil
	}
	if e.conditions == nil {
		made, err := condition.NewCompiler(e.raw.Service.Name)
		if err != nil {
			e.report.errorf(n.at, "%s: %s", n.label(), err)
			return nil
		}
		e.conditions = made
	}
	when, err := e.conditions.Compile(text)
	if err != nil {
		e.report.errorf(n.at, "%s: %s", n.label(), err)
		return nil
	}
	return when
}
