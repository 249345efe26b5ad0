//! The metrics, in the text form that Prometheus reads.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use deskgrid_job::{Job, Phase, Reason};

use crate::Site;
use crate::names::By;

pub(crate) fn routes() -> Router<Site> {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/q/{queue}/metrics", get(metrics))
        .route("/{queue}/metrics", get(metrics))
}

/// The same for every queue, as all of them are served by this computer; a page is told of its own jobs only.
async fn metrics(State(site): State<Site>, By(caller): By) -> impl IntoResponse {
    let mut page = Page::default();
    let mut listed = site.worker().everything();
    listed.retain(|job| job.holds.iter().any(|hold| caller.sees(&hold.caller)));
    jobs(&mut page, &listed);
    offered(&mut page, &site);
    page.gauge(
        "deskgrid_sockets",
        "Connected sockets of clients.",
        site.gauges().sockets_seen_by(&caller) as f64,
    );
    traffic(&mut page, &site);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page.0)
}

fn jobs(page: &mut Page, jobs: &[Arc<Job>]) {
    let count = |phase: Phase| jobs.iter().filter(|job| job.phase == phase).count() as f64;
    let (queued, running) = (count(Phase::Queued), count(Phase::Running));
    page.gauge("queue_length", "Jobs that are not finished.", queued + running);
    page.family("deskgrid_jobs", "gauge", "Jobs on the lists, by state.");
    page.sample("deskgrid_jobs", "state=\"queued\"", queued);
    page.sample("deskgrid_jobs", "state=\"running\"", running);
    let name = "deskgrid_jobs_finished_recently";
    page.family(name, "gauge", "Jobs that finished within the last minute and are still listed, by reason.");
    for reason in Reason::ALL {
        page.sample(name, &format!("reason=\"{}\"", reason.as_str()), count(Phase::Finished(reason)));
    }
}

fn offered(page: &mut Page, site: &Site) {
    let offer = site.worker().offer().borrow().clone();
    let is_ready = site.worker().engine().borrow().ready().is_some();
    page.gauge(
        "deskgrid_engine_ready",
        "1 when the container engine can be used.",
        f64::from(u8::from(is_ready)),
    );
    page.gauge("deskgrid_cpus", "CPUs that jobs may take.", f64::from(offer.capacity.cpu_millis) / 1000.0);
    page.gauge("deskgrid_gpus", "GPUs that jobs may take.", offer.capacity.gpus.len() as f64);
    // Unknown until the engine has told how much it has.
    if offer.capacity.memory != u64::MAX {
        page.gauge("deskgrid_memory_bytes", "Memory that jobs may take.", offer.capacity.memory as f64);
    }
    page.gauge("deskgrid_max_job_seconds", "The longest run of a job.", offer.max_duration.as_secs_f64());
}

fn traffic(page: &mut Page, site: &Site) {
    let uploads = site.gauges().uploads();
    page.gauge("deskgrid_uploads_under_way", "Files that are arriving.", uploads.under_way as f64);
    page.counter("deskgrid_uploads_total", "Files stored since the start.", uploads.files as f64);
    page.counter("deskgrid_uploaded_bytes_total", "Bytes stored since the start.", uploads.bytes as f64);
    page.gauge("deskgrid_uptime_seconds", "Time since the start.", site.started().elapsed().as_secs_f64());
    page.family("deskgrid_build_info", "gauge", "Always 1; the version is in its label.");
    page.sample("deskgrid_build_info", &format!("version=\"{}\"", escaped(site.version())), 1.0);
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, "gauge", help);
        self.sample(name, "", value);
    }

    fn counter(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, "counter", help);
        self.sample(name, "", value);
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a text does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: f64) {
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_help_type_and_samples() {
        let mut page = Page::default();
        page.gauge("a", "Words.", 2.0);
        page.family("b", "gauge", "More.");
        page.sample("b", "x=\"y\"", 0.5);
        let wanted = "# HELP a Words.\n# TYPE a gauge\na 2\n# HELP b More.\n# TYPE b gauge\nb{x=\"y\"} 0.5\n";
        assert_eq!(page.0, wanted);
    }

    #[test]
    fn the_queue_length_is_there_without_jobs() {
        let mut page = Page::default();
        jobs(&mut page, &[]);
        assert!(page.0.contains("\nqueue_length 0\n"), "{}", page.0);
        assert!(page.0.contains("deskgrid_jobs_finished_recently{reason=\"Success\"} 0\n"));
    }

    #[test]
    fn a_label_cannot_break_out_of_its_quotes() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
