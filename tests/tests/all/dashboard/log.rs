//! The log of a job: reading in it, searching, and following its end.

use deskgrid_tests::dashboard::Dashboard;
use deskgrid_tests::ui::Ui;
use deskgrid_tests::{Deskgrid, shell, unique};
use serde_json::json;

const LOG: &str = "document.querySelector('[data-testid=\"log\"]')";

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_in_a_log_is_not_moved_by_other_jobs_nor_by_the_end_of_this_one() {
    let mut dashboard = Dashboard::over(Deskgrid::start_with_cpus(2).await).await;
    let id = dashboard.server.submit(&shell(&format!("seq 3000; sleep 1000; : {}", unique()))).await;
    dashboard.goes_to(&format!("job/{id}")).await;
    dashboard.reads_in("log-lines", "3,000 lines").await;
    dashboard.until(&format!("{LOG}.scrollTop > 0")).await;
    let middle = "document.querySelector('[data-testid=\"log\"]').scrollTop = 20000";
    dashboard.value(middle).await;
    dashboard.sees("log-end").await;
    // The same list, not one that was drawn anew.
    dashboard.value(&format!("{LOG}.dataset.marked = 'yes'")).await;
    dashboard.server.run(&shell(&format!("echo {}", unique()))).await;
    dashboard.clicks("job-cancel").await;
    dashboard
        .until("document.querySelector('[data-testid=\"job-status\"]').dataset.phase === 'finished'")
        .await;
    dashboard.misses("log-follow").await;
    let place = dashboard.value(&format!("[{LOG}.scrollTop, {LOG}.dataset.marked]")).await;
    assert_eq!(place, json!([20000, "yes"]));
    dashboard.reads_in("log-lines", "3,000 lines").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_log_is_followed_until_the_reader_goes_back() {
    let mut dashboard = Dashboard::open().await;
    let script = format!("seq 200; while ! [ -e /tmp/on ]; do sleep 0.2; echo more; done; : {}", unique());
    let id = dashboard.server.submit(&shell(&script)).await;
    dashboard.goes_to(&format!("job/{id}")).await;
    let is_at_end = format!(
        "{LOG} !== null && {LOG}.scrollTop > 0 && {LOG}.scrollTop + {LOG}.clientHeight >= {LOG}.scrollHeight - 24"
    );
    dashboard.until(&is_at_end).await;
    dashboard.value(&format!("{LOG}.scrollTop = 0")).await;
    dashboard.until("document.querySelector('[data-testid=\"log-follow\"]').ariaPressed === 'false'").await;
    dashboard.clicks("log-end").await;
    dashboard.until(&is_at_end).await;
    dashboard.misses("log-end").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_found_in_a_log_and_standard_error_is_told_apart() {
    let mut dashboard = Dashboard::open().await;
    let script =
        format!("echo alpha one; echo beta >&2; printf '\\033[31malpha\\033[0m two\\n'; : {}", unique());
    let id = dashboard.server.submit(&shell(&script)).await;
    dashboard.server.finished(&id).await;
    dashboard.goes_to(&format!("job/{id}")).await;
    dashboard.counts("log-line", 3).await;
    dashboard.writes("log-search", "alpha").await;
    dashboard.reads_in("log-found", "1 of 2").await;
    dashboard.clicks("log-next").await;
    dashboard.reads_in("log-found", "2 of 2").await;
    dashboard.writes("log-search", "").await;
    dashboard.clicks("log-errors").await;
    dashboard.counts("log-line", 1).await;
    dashboard.reads_in("log-line", "beta").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_a_log_wrap_and_have_their_times_when_that_is_wanted_and_next_time_too() {
    let mut dashboard = Dashboard::open().await;
    let script = format!("head -c 2000 /dev/zero | tr '\\0' x; : {}", unique());
    let id = dashboard.server.submit(&shell(&script)).await;
    dashboard.server.finished(&id).await;
    dashboard.goes_to(&format!("job/{id}")).await;
    dashboard.counts("log-line", 1).await;
    let line = "document.querySelector('[data-testid=\"log-line\"]')";
    let wraps = |is_so: bool| format!("({line}.offsetHeight >= 40) === {is_so}");
    let has_time = |is_so: bool| format!("/\\d\\d:\\d\\d:\\d\\d/.test({line}.innerText) === {is_so}");
    dashboard.until(&format!("{} && {}", wraps(false), has_time(false))).await;
    dashboard.clicks("log-wrap").await;
    dashboard.until(&wraps(true)).await;
    dashboard.until(&format!("{LOG}.scrollWidth <= {LOG}.clientWidth")).await;
    dashboard.clicks("log-times").await;
    dashboard.until(&has_time(true)).await;
    dashboard.reloads().await;
    dashboard.counts("log-line", 1).await;
    dashboard.until(&format!("{} && {}", wraps(true), has_time(true))).await;
    dashboard.clicks("log-times").await;
    dashboard.clicks("log-wrap").await;
    dashboard.until(&format!("{} && {}", wraps(false), has_time(false))).await;
}
