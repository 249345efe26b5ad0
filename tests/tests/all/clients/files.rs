//! The suites about inputs and outputs, with one path segment and with several, and the storage suite.

use std::process::Stdio;
use std::time::Duration;

use deskgrid_tests::{Deskgrid, Raw, sha256, unique};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::job;

/// Uploads as the suites do: only what is not there, with curl.
async fn upload(server: &Deskgrid, text: &str) -> Value {
    let url = server.url(&format!("/f/{}", sha256(text)));
    if server.http().get(format!("{url}/exists")).send().await.expect("an answer").status() != 200 {
        let mut curl = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "-X",
                "PUT",
                "--location",
                "--fail-with-body",
                "--upload-file",
                "-",
                &url,
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("curl is installed");
        curl.stdin.take().expect("a pipe").write_all(text.as_bytes()).await.expect("curl reads");
        assert!(curl.wait().await.expect("curl ends").success());
    }
    json!({"value": url, "type": "url"})
}

/// Asks each second, and every answer has to be a 200.
async fn poll_result(server: &Deskgrid, id: &str) -> Value {
    for _ in 0..60 {
        let data = server.get_json(&format!("/j/{id}")).await["data"].take();
        assert!(data["definition"].is_object(), "{data}");
        if data["results"]["state"] == "Finished" {
            return data["results"].clone();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("{id} did not finish");
}

async fn input_to_output(input: &str, output: &str, command: &str) {
    let server = Deskgrid::start().await;
    let text = format!("{} {}", unique(), "some text of more than 200 characters. ".repeat(8));
    let mut definition = job(command);
    definition["inputs"] = json!({input: upload(&server, &text).await});
    upload(&server, &text).await;
    let (status, answer) = server.post("/q/local", &json!({"definition": definition})).await;
    assert_eq!((status, &answer["success"]), (200, &json!(true)));
    let id = answer["jobId"].as_str().expect("an id");
    assert_eq!(poll_result(&server, id).await["finishedReason"], "Success");
    for prefix in ["", "/q/local"] {
        for file in [format!("inputs/{input}"), format!("outputs/{output}")] {
            let answer = Raw::new("GET", &format!("{prefix}/j/{id}/{file}")).send(&server).await;
            assert_eq!((answer.status, answer.text()), (200, text.clone()), "{prefix} {file}");
        }
        let folder = input.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        for file in ["inputs", "outputs"] {
            let path = format!("{prefix}/j/{id}/{file}/{folder}nonexistent.txt");
            assert_eq!(Raw::new("GET", &path).send(&server).await.status, 404, "{path}");
        }
    }
}

#[tokio::test]
async fn job_inputs_outputs_an_uploaded_input_comes_back_as_the_output() {
    let command =
        r#"sh -c 'echo "reading" && cat /inputs/test_input.txt > /outputs/test_output.txt && echo "done"'"#;
    input_to_output("test_input.txt", "test_output.txt", command).await;
}

#[tokio::test]
async fn multi_segment_paths_folders_are_kept_on_the_way_in_and_out() {
    let command = "sh -c 'mkdir -p /outputs/nested/subfolder && \
                   cat /inputs/nested/subfolder/test_input.txt > /outputs/nested/subfolder/test_output.txt'";
    input_to_output("nested/subfolder/test_input.txt", "nested/subfolder/test_output.txt", command).await;
}

#[tokio::test]
async fn storage_an_output_is_fetched_from_the_reference_in_the_result() {
    let server = Deskgrid::start().await;
    let text = unique();
    let result = server.run(&job(format!("sh -c 'echo {text} > /outputs/hello.txt'"))).await;
    let outcome = &result["finished"]["result"];
    assert_eq!((outcome.get("error"), &outcome["outputs"]["hello.txt"]["type"]), (None, &json!("url")));
    let bytes = server.output(&result, "hello.txt").await;
    assert_eq!(String::from_utf8(bytes).expect("text").trim(), text);
}
