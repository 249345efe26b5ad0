//! The server of an ordinary user over an engine that runs as root: files travel by archive, since what a container
//! writes would not be the user's. What comes back has to be the same all the same.

use deskgrid_tests::user::OrdinaryUser;
use deskgrid_tests::{Deskgrid, Options, log_text, sha256, shell, unique};
use serde_json::json;

use crate::{cancel, outputs};

/// The server of such a user. Where the tests do not run as root, it is theirs.
async fn home() -> (Deskgrid, Option<OrdinaryUser>) {
    let user = OrdinaryUser::new();
    let options = user.as_ref().map_or_else(Options::default, OrdinaryUser::options);
    (Deskgrid::start_with(options).await, user)
}

#[tokio::test]
async fn the_server_does_not_run_as_root() {
    let (server, _user) = home().await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
    assert!(ids.split_whitespace().all(|id| id != "0"), "{ids}");
}

#[tokio::test]
async fn inputs_of_every_size_reach_the_container_and_outputs_come_back() {
    let (server, _user) = home().await;
    let big = unique().into_bytes().into_iter().cycle().take(3 << 20).collect::<Vec<_>>();
    let hash = sha256(&big);
    assert_eq!(server.put(&hash, big).await, 200);
    let mut definition = shell(
        "cat /inputs/small /inputs/sub/text; wc -c < /inputs/big; \
         echo no > /inputs/big || echo read-only; echo yes > /inputs/small; cat /etc/app.conf; \
         cp /inputs/small /outputs/copy; cp /inputs/deep/er/big /etc/big.conf /outputs",
    );
    definition["inputs"] = json!({
        "small": {"value": format!("{}\n", unique())}, "sub/text": {"value": "below\n"},
        "big": {"type": "key", "value": hash}, "deep/er/big": {"type": "key", "value": hash},
    });
    definition["configFiles"] = json!({
        "/etc/app.conf": {"value": "configured\n"}, "/etc/big.conf": {"type": "key", "value": hash},
    });
    let finished = server.run(&definition).await;
    let log = log_text(&finished);
    for wanted in ["below\n", "3145728\n", "read-only\n", "configured\n"] {
        assert!(log.contains(wanted), "{wanted:?} in {finished}");
    }
    assert_eq!(server.output(&finished, "copy").await, b"yes\n");
    for name in ["big", "big.conf"] {
        assert_eq!(finished["finished"]["result"]["outputs"][name]["hash"], hash, "{name}");
    }
    let (_, stored) = server.get(&format!("/f/{hash}")).await;
    assert_eq!(sha256(&stored), hash, "no job changes a stored file");
    outputs::until_cleared(&server).await;
}

#[tokio::test]
async fn two_thousand_files_come_back() {
    let (server, _user) = home().await;
    outputs::two_thousand_files_come_back(&server).await;
}

#[tokio::test]
async fn closed_folders_of_root_come_back_and_leave_nothing_undeletable() {
    let (server, _user) = home().await;
    outputs::closed_folders_are_read_and_removed(&server).await;
}

#[tokio::test]
async fn pipes_devices_and_links_out_of_the_folder_are_left_out_here_too() {
    let (server, _user) = home().await;
    outputs::hostile_things_are_named_and_left_out(&server).await;
}

#[tokio::test]
async fn an_output_of_any_name_can_be_fetched_back() {
    let (server, _user) = home().await;
    outputs::any_name_comes_back(&server).await;
}

#[tokio::test]
async fn an_output_with_a_path_too_long_for_any_system_harms_nothing() {
    let (server, _user) = home().await;
    outputs::a_path_too_long_for_any_system_is_named_and_removed(&server).await;
}

#[tokio::test]
async fn a_job_that_removes_its_outputs_folder_has_no_outputs() {
    let (server, _user) = home().await;
    outputs::a_job_that_removes_outputs_has_none(&server).await;
}

#[tokio::test]
async fn outputs_of_a_cancelled_run_do_not_turn_up_in_the_next_one() {
    let (server, _user) = home().await;
    cancel::outputs_of_a_cancelled_run_are_gone(&server).await;
}
