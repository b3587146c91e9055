package ops

import "runtime"

// serviceMeters tell what runs and since when.
type serviceMeters struct {
	ready, reloads, reloaded, loaded, config, build *meter
}

func newServiceMeters(all *meters) serviceMeters {
	return serviceMeters{
		ready:    all.gauge("ready", "Whether the router is ready: 1 or 0."),
		reloads:  all.counter("config_reloads_total", "Attempts to replace the configuration, by their result: success or refused.", "result"),
		reloaded: all.gauge("config_last_reload_successful", "Whether the last attempt to replace the configuration succeeded, or there was none: 1 or 0."),
		loaded:   all.gauge("config_last_reload_timestamp_seconds", "When the configuration that runs began to run."),
		config:   all.gauge("config_info", "The configuration that runs, as the hash that the log tells. Always 1.", "hash"),
		build:    all.gauge("build_info", "The program that runs. Always 1.", "service", "version", "goversion"),
	}
}

func (m serviceMeters) read(s sheet, p Program, running Running, reasons []Reason) {
	s.add(m.ready, truth(len(reasons) == 0))
	s.add(m.reloads, float64(running.Reloads), "success")
	s.add(m.reloads, float64(running.Refused), "refused")
	s.add(m.reloaded, truth(running.Refusal == ""))
	if !running.Since.IsZero() {
		s.add(m.loaded, float64(running.Since.UnixMilli())/1000)
	}
	s.add(m.config, 1, running.shortHash())
	s.add(m.build, 1, p.Service, p.Version, runtime.Version())
}
