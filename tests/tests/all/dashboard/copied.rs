//! What is copied from a job: pasted elsewhere it does what it says.

use deskgrid_tests::dashboard::Dashboard;
use deskgrid_tests::ui::Ui;
use deskgrid_tests::{shell, test_engine, unique};
use tokio::process::Command;

// One test, since all tabs of the browser share what was copied.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_copied_as_a_link_that_shows_it_and_as_a_command_that_runs_it_and_a_file_as_a_link_that_gives_it()
 {
    let mut dashboard = Dashboard::open().await;
    let word = unique();
    let id = dashboard.server.submit(&shell(&format!("echo \"it's {word}: $((6 * 7))\""))).await;
    dashboard.server.finished(&id).await;
    dashboard.page.may_copy().await;
    dashboard.clicks("job-menu").await;
    dashboard.clicks("job-menu-link").await;
    dashboard.reads("Link copied").await;
    let link = dashboard.page.pasted().await;
    assert_eq!(link, dashboard.server.url(&format!("/j/{id}")));
    let page = reqwest::get(&link).await.expect("an answer").text().await.expect("a page");
    assert!(page.contains(&word), "{page}");

    dashboard.clicks("job-menu").await;
    dashboard.clicks("job-menu-docker").await;
    dashboard.reads("Command copied").await;
    let command = dashboard.page.pasted().await;
    assert!(command.starts_with("docker run --rm "), "{command}");
    let mut shell = Command::new("sh");
    shell.args(["-c", &command]).env("DOCKER_HOST", test_engine().expect("the set-up names an engine"));
    let output = shell.output().await.expect("a shell");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!("it's {word}: 42\n"),
        "{command}: {output:?}"
    );

    let script = format!("echo '{word}' > '/outputs/what it said.txt'");
    let id = dashboard.server.submit(&deskgrid_tests::shell(&script)).await;
    dashboard.server.finished(&id).await;
    dashboard.goes_to(&format!("job/{id}")).await;
    dashboard.clicks("job-tab-files").await;
    // What was said of the other link is no sign of this one.
    dashboard.misses("toast").await;
    dashboard.clicks("file-link").await;
    dashboard.reads("Link copied").await;
    let link = dashboard.page.pasted().await;
    assert_eq!(link, dashboard.server.url(&format!("/j/{id}/outputs/what%20it%20said.txt")));
    let file = reqwest::get(&link).await.expect("an answer").text().await.expect("a text");
    assert_eq!(file, format!("{word}\n"));
}
