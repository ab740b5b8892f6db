package api

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"bonded"
)

type metrics struct {
	registry *prometheus.Registry
	calls    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

// routeMetrics are the series of one route that every good call touches,
// looked up once.
type routeMetrics struct {
	name    string
	ok      prometheus.Counter
	seconds prometheus.Observer
}

func newMetrics(r *prometheus.Registry, slots chan struct{}) (*metrics, error) {
	m := &metrics{
		registry: r,
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bonded_api_calls_total", Help: "Calls by route and code; code ok for success.",
		}, []string{"route", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "bonded_api_call_seconds", Help: "Time from the headers of a call to its answer, in seconds.",
			Buckets: []float64{.0005, .001, .002, .004, .008, .016, .032, .064, .125, .25, .5, 1, 2, 4, 8, 16, 30},
		}, []string{"route"}),
	}
	inFlight := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "bonded_api_in_flight", Help: "Calls being served.",
	}, func() float64 { return float64(len(slots)) })
	for _, c := range []prometheus.Collector{m.calls, m.seconds, inFlight} {
		if err := r.Register(c); err != nil {
			return nil, bonded.Wrap(bonded.CodeConfig, err, "the face cannot register its metrics: one registry serves one face")
		}
	}
	return m, nil
}

func (m *metrics) route(name string) routeMetrics {
	return routeMetrics{name, m.calls.WithLabelValues(name, "ok"), m.seconds.WithLabelValues(name)}
}

func (r *routeMetrics) observe(m *metrics, code bonded.Code, took time.Duration) {
	r.seconds.Observe(took.Seconds())
	if code == "" {
		r.ok.Inc()
		return
	}
	m.calls.WithLabelValues(r.name, string(code)).Inc()
}

// Registry returns the registry of the face: others add their gauges to it.
func (a *API) Registry() *prometheus.Registry { return a.metrics.registry }

// MetricsHandler serves the registry at every path, in the format of
// Prometheus. Give it a listener of its own: it asks for no principal.
func (a *API) MetricsHandler() http.Handler {
	return promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}
