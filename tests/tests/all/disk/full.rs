use deskgrid_tests::{OnSmallDisk, deskgrid, eventually, shell, unique};
use serde_json::json;

#[tokio::test]
async fn a_job_that_ends_while_the_disk_is_full_is_reported_when_there_is_room_again() {
    let on = OnSmallDisk::start(&["--disk-reserve", "0"]).await;
    let earlier = on.server.run(&shell(&format!("echo {} > /outputs/kept", unique()))).await;
    let id = on.server.submit(&shell(&format!("echo begun {}; sleep 3; exit 5", unique()))).await;
    on.server.until_said(&id, "begun").await;
    on.disk.fill_but(0);
    // Its container ends now; what it came to cannot be written.
    eventually("its end has met the full disk", async || {
        on.server.log().contains("trying again")
            || on.server.get_json(&format!("/j/{id}/result.json")).await["data"].is_object()
    })
    .await;
    assert_eq!(on.server.get("/health").await.0, 200);
    on.disk.make_room();
    let finished = on.server.finished(&id).await;
    let result = &finished["finished"]["result"];
    assert!(
        result["StatusCode"] == 5 || result["error"].as_str().is_some_and(|why| why.contains("full")),
        "{finished}"
    );
    assert_eq!(on.server.output(&earlier, "kept").await.last(), Some(&b'\n'));
    let again = on.server.run(&shell(&format!("echo {}", unique()))).await;
    assert_eq!(again["finished"]["result"]["StatusCode"], 0, "{again}");
}

#[tokio::test]
async fn a_start_on_a_full_disk_says_so_or_works_and_destroys_nothing() {
    let mut on = OnSmallDisk::start(&["--disk-reserve", "0"]).await;
    let done = on.server.run(&shell(&format!("echo {} > /outputs/kept", unique()))).await;
    on.server.terminate().await;
    on.disk.fill_but(0);
    let data = on.server.data();
    let settings = on.server.settings();
    let args = [
        "serve",
        "--port",
        "0",
        "--data-directory",
        &data.to_string_lossy(),
        "--config",
        &settings.to_string_lossy(),
    ];
    let outcome = deskgrid(&args).await;
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.stderr.contains("is full") && !outcome.stderr.contains("panicked"), "{outcome:?}");
    on.disk.make_room();
    on.server.start_again().await;
    assert_eq!(on.server.output(&done, "kept").await.last(), Some(&b'\n'));
    assert_eq!(
        on.server.run(&shell(&format!("echo {}", unique()))).await["finished"]["result"]["StatusCode"],
        json!(0)
    );
}
