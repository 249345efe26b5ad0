use deskgrid_tests::{OnSmallDisk, eventually, sha256, shell, unique};

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
    let desk = crate::administration::Desk::of(&on.server);
    eventually("the person is told that nothing can be written, or all could be", async || {
        desk.get("/api/desk").await["notices"][0]["code"] == "records-unwritten"
            || on.server.get_json(&format!("/j/{id}/result.json")).await["data"].is_object()
    })
    .await;
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
async fn a_start_on_a_full_disk_shows_what_there_is_and_works_again_when_there_is_room() {
    let mut on = OnSmallDisk::start(&["--disk-reserve", "6m"]).await;
    let done = on.server.run(&shell(&format!("echo {} > /outputs/kept", unique()))).await;
    on.server.terminate().await;
    on.disk.fill_but(0);
    on.server.start_again().await;
    assert_eq!(on.server.output(&done, "kept").await.last(), Some(&b'\n'));
    let key = sha256(b"more");
    assert_eq!(on.server.put(&key, b"more".to_vec()).await, 507);
    on.disk.make_room();
    assert_eq!(on.server.put(&key, b"more".to_vec()).await, 200);
    let again = on.server.run(&shell(&format!("echo {}", unique()))).await;
    assert_eq!(again["finished"]["result"]["StatusCode"], 0, "{again}");
}
