//! Builds that fail say which step, and why.

use deskgrid_tests::{BUSYBOX, Deskgrid, unique};
use serde_json::json;

use super::{BUILDERS, build_log, error_of, has_image, image_of, job, server_with};

#[tokio::test]
async fn a_failing_step_is_named_with_its_exit_code_by_either_builder() {
    for (builder, choice) in BUILDERS {
        let server = server_with(choice).await;
        let word = unique();
        let build =
            json!({"dockerfile": format!("FROM {BUSYBOX}\nRUN echo said {word}; exit 7\nRUN echo never\n")});
        let definition = job(&build, "true");
        let id = server.submit(&definition).await;
        let finished = server.finished(&id).await;
        let error = error_of(&finished);
        assert!(error.contains("step 2/") && error.contains("exit code 7"), "{builder}: {error}");
        assert!(error.contains(&format!("RUN echo said {word}")), "{builder}: {error}");
        assert_eq!(finished["finished"]["result"]["logs"], json!([]), "{builder}");
        let log = build_log(&server, &id).await;
        assert!(
            log.contains(&format!("RUN echo said {word}; exit 7")) && log.contains(error),
            "{builder}: {log}"
        );
        assert!(!log.contains("echo never"), "{builder}: {log}");
        assert!(!has_image(&server.engine(), &image_of(&build)).await, "{builder}");
        // The Dockerfile is at fault: the same one fails again, and is not tried again.
        assert_eq!(
            server.run(&definition).await["finished"]["time"],
            finished["finished"]["time"],
            "{builder}"
        );
    }
}

#[tokio::test]
async fn the_last_words_of_a_failing_step_are_in_the_log_however_much_it_wrote() {
    for (builder, choice) in BUILDERS {
        let server = server_with(choice).await;
        let script = "seq 1 20000; echo last but one; printf 'last words' >&2; exit 3";
        let build = json!({"dockerfile": format!("FROM {BUSYBOX}\nRUN : {}; {script}\n", unique())});
        let id = server.submit(&job(&build, "true")).await;
        let finished = server.finished(&id).await;
        assert!(error_of(&finished).contains("exit code 3"), "{builder}: {finished}");
        let log = build_log(&server, &id).await;
        for said in ["19999", "20000", "last but one", "last words", error_of(&finished)] {
            assert!(log.contains(said), "{builder}: {said} is missing from {} bytes", log.len());
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_dockerfile_is_told_in_the_same_words_by_either_builder() {
    for (builder, choice) in BUILDERS {
        let server = server_with(choice).await;
        let text = |rest: &str| format!("FROM {BUSYBOX}\n{rest} {}\n", unique());
        for (build, wanted) in [
            (json!({"dockerfile": text("FROB")}), "parse error line 2: unknown instruction: FROB"),
            (json!({"dockerfile": text("RUN"), "target": "nope"}), "has no stage \"nope\""),
            (json!({"dockerfile": text("COPY nothing")}), "step 2/"),
            (
                json!({"dockerfile": format!("FROM localhost:1/x{}", std::process::id())}),
                "registry cannot be reached",
            ),
        ] {
            let finished = server.run(&job(&build, "true")).await;
            assert!(error_of(&finished).contains(wanted), "{builder}: {finished}");
        }
    }
}

#[tokio::test]
async fn a_block_that_cannot_be_meant_is_refused_at_once_and_the_member_is_named() {
    let server = Deskgrid::start_without_engine().await;
    for (build, wanted) in [
        (json!({"dockerfile": "FROM a", "platform": "a//b", "buildArgs": []}), "build.platform"),
        (json!({"dockerfile": "FROM a", "buildArgs": ["NOVALUE"]}), "build.buildArgs"),
        (json!({"context": "git@github.com:o/r"}), "build.context"),
        (json!({"target": "t"}), "neither dockerfile nor context"),
    ] {
        let (status, answer) = server.post("/q/local", &json!({"definition": job(&build, "true")})).await;
        assert!(status == 400 && answer["error"].to_string().contains(wanted), "{answer}");
    }
}
