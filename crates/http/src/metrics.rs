//! Counters in the Prometheus text format. Paths are route templates, so that no identifier enters a label.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const BUCKETS: [f64; 8] = [0.005, 0.02, 0.05, 0.1, 0.3, 1.0, 3.0, 10.0];

#[derive(Default)]
struct Series {
    count: u64,
    seconds: f64,
    buckets: [u64; BUCKETS.len()],
}

#[derive(Default)]
struct Labelled {
    help: &'static str,
    label: &'static str,
    values: BTreeMap<String, f64>,
}

/// `method`, `route`, `status`.
type Key = (String, String, u16);

#[derive(Default)]
struct State {
    requests: BTreeMap<Key, Series>,
    gauges: BTreeMap<&'static str, (&'static str, f64)>,
    /// By the value of one label.
    by_label: BTreeMap<&'static str, Labelled>,
}

/// Cheap to clone.
#[derive(Clone, Default)]
pub struct Metrics {
    state: Arc<Mutex<State>>,
}

impl Metrics {
    pub(crate) fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let seconds = took.as_secs_f64();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let series = state.requests.entry((method.to_owned(), route.to_owned(), status)).or_default();
        series.count += 1;
        series.seconds += seconds;
        for (bound, bucket) in BUCKETS.iter().zip(series.buckets.iter_mut()) {
            if seconds <= *bound {
                *bucket += 1;
            }
        }
    }

    /// Sets a value that is shown until it is set again.
    pub fn set(&self, name: &'static str, help: &'static str, value: f64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.gauges.insert(name, (help, value));
    }

    /// As `set`, for one of several values that a label tells apart. The label's values are codes, never data.
    pub fn set_by(&self, name: &'static str, help: &'static str, label: (&'static str, String), value: f64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let labelled = state.by_label.entry(name).or_default();
        (labelled.help, labelled.label) = (help, label.0);
        labelled.values.insert(label.1, value);
    }

    pub(crate) fn render(&self) -> String {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = String::new();
        for (name, (help, value)) in &state.gauges {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
        }
        for (name, Labelled { help, label, values }) in &state.by_label {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
            for (of, value) in values {
                let _ = writeln!(out, "{name}{{{label}=\"{of}\"}} {value}");
            }
        }
        let name = "mingying_http_request_duration_seconds";
        let _ = writeln!(out, "# HELP {name} Time to the head of the answer.\n# TYPE {name} histogram");
        for ((method, route, status), series) in &state.requests {
            let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
            for (bound, count) in BUCKETS.iter().zip(series.buckets) {
                let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}");
            }
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", series.count);
            let _ = writeln!(out, "{name}_sum{{{labels}}} {}", series.seconds);
            let _ = writeln!(out, "{name}_count{{{labels}}} {}", series.count);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_histograms() {
        let metrics = Metrics::default();
        metrics.request("GET", "/api/v1/orders/{id}", 200, Duration::from_millis(30));
        metrics.set("mingying_up", "Whether it runs.", 1.0);
        metrics.set_by("mingying_cats", "By color.", ("color", "red".to_owned()), 2.0);
        let text = metrics.render();
        assert!(text.contains("# TYPE mingying_cats gauge\nmingying_cats{color=\"red\"} 2\n"));
        assert!(text.contains("mingying_up 1"));
        assert!(text.contains("route=\"/api/v1/orders/{id}\",status=\"200\",le=\"0.05\"} 1"));
        assert!(text.contains("le=\"0.02\"} 0"));
    }
}
