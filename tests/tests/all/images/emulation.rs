//! Images for another kind of processor. This computer has no emulator, so the program in the image is one for it: only
//! what the image says of itself is foreign.

use deskgrid_tests::registry::{elsewhere, here};
use deskgrid_tests::{Deskgrid, Picture, Registry, log_text};
use serde_json::json;

use super::{build_log, forget, job, words};
use crate::administration::Desk;

#[tokio::test]
async fn an_image_for_another_processor_runs_with_a_warning_in_the_log_and_in_the_administration() {
    let (registry, server) = (Registry::open(), Deskgrid::start().await);
    let desk = Desk::of(&server);
    let name = registry.push(Picture { processor: elsewhere(), ..Picture::new() }).await;
    let image = format!("{}/{name}:latest", registry.address);
    let id = server.submit(&job(&image, "echo runs; read wait")).await;
    let finished = server.finished(&id).await;
    assert_eq!(log_text(&finished), "runs\n");
    let log = build_log(&server, &id).await;
    let warning = log.last().unwrap();
    assert!(
        warning.starts_with("Warning: ") && warning.contains(&format!("linux/{}", elsewhere())),
        "{log:?}"
    );
    let detail = desk.get(&format!("/api/jobs/{id}")).await;
    assert_eq!(detail["emulated"], format!("linux/{}", elsewhere()));
    let image_stage =
        detail["timeline"].as_array().unwrap().iter().find(|stage| stage["name"] == "image").unwrap();
    assert!(image_stage["note"].as_str().unwrap().starts_with("Emulated"), "{image_stage}");
    // So is one that is here already.
    let id = server.submit(&job(&image, "echo again")).await;
    server.finished(&id).await;
    assert_eq!(build_log(&server, &id).await.len(), 1);
    forget(&server, &image).await;
}

#[tokio::test]
async fn a_program_for_another_processor_that_cannot_run_is_told_as_that() {
    let (registry, server) = (Registry::open(), Deskgrid::start().await);
    let name = registry.push(Picture { processor: elsewhere(), ..Picture::new() }).await;
    let image = format!("{}/{name}:latest", registry.address);
    // A program of a format that this computer does not know, as one for another processor is.
    let mut definition = json!({"image": image, "command": "/foreign"});
    let header = [&b"\x7fELF\x02\x01\x01"[..], &[0; 9], b"\x02\x00\xff\x00"].concat();
    let value = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, [&header[..], &[0; 100]].concat());
    definition["configFiles"] = json!({"/foreign": {"type": "base64", "value": value}});
    let finished = server.run(&definition).await;
    println!("{finished}");
    let words = words(&finished);
    assert!(words.contains(&format!("made for linux/{}", elsewhere())), "{words}");
    assert!(
        words.contains(&format!("this engine is linux/{}", here())) && words.contains("emulator"),
        "{words}"
    );
    forget(&server, &image).await;
}

#[tokio::test]
async fn an_image_of_this_computer_s_own_kind_has_no_warning() {
    let (registry, server) = (Registry::open(), Deskgrid::start().await);
    let image = format!("{}/{}:latest", registry.address, registry.push(Picture::new()).await);
    let id = server.submit(&job(&image, "true")).await;
    server.finished(&id).await;
    assert!(build_log(&server, &id).await.iter().all(|line| !line.contains("Warning")));
    assert_eq!(Desk::of(&server).get(&format!("/api/jobs/{id}")).await["emulated"], serde_json::Value::Null);
    forget(&server, &image).await;
}
