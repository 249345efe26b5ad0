use deskgrid_tests::{OnSmallDisk, deskgrid, shell, unique};

#[tokio::test]
async fn a_data_folder_that_may_not_be_written_to_is_told_as_that_and_left_as_it_is() {
    let mut on = OnSmallDisk::start(&[]).await;
    let done = on.server.run(&shell(&format!("echo {} > /outputs/kept", unique()))).await;
    on.server.terminate().await;
    on.disk.set_read_only(true);
    let (data, settings) = (on.server.data(), on.server.settings());
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
    assert!(
        outcome.stderr.contains("Read-only file system") && outcome.stderr.contains("--data-directory"),
        "{outcome:?}"
    );
    assert!(!outcome.stderr.contains("panicked"), "{outcome:?}");
    on.disk.set_read_only(false);
    on.server.start_again().await;
    assert_eq!(on.server.output(&done, "kept").await.last(), Some(&b'\n'));
}
