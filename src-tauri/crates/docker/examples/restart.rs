//! temp
use deskgrid_docker::*;
use std::time::Instant;
#[tokio::main]
async fn main() {
    let a = std::env::args().nth(1).unwrap();
    let w = EngineWatch::start(Some(a));
    let mut r = w.state();
    let e = r.wait_for(|s| s.ready().is_some()).await.unwrap().ready().unwrap().clone();
    println!("{:?}", e.info());
    let t = Instant::now();
    let mut r2 = w.state();
    tokio::spawn(async move {
        loop {
            r2.changed().await.unwrap();
            println!("{:?} {}", t.elapsed(), r2.borrow_and_update().explain());
        }
    });
    for script in ["trap 'exit 0' TERM; while :; do sleep 0.1; done", "sleep 1000"] {
        let e = r.wait_for(|s| s.ready().is_some()).await.unwrap().ready().unwrap().clone();
        let id = e
            .create(&ContainerSpec {
                image: "deskgrid-test/busybox".into(),
                cmd: Some(vec!["/bin/sh".into(), "-c".into(), script.into()]),
                network: Network::Off,
                ..Default::default()
            })
            .await
            .unwrap();
        e.start(&id).await.unwrap();
        println!("{:?} waiting", t.elapsed());
        let e2 = e.clone();
        let id2 = id.clone();
        tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            println!("{:?} stopping", t.elapsed());
            std::process::Command::new("sh").args(["-c", "kill $(cat /tmp/dg2/pid)"]).status().unwrap();
            let _ = (e2, id2);
        });
        println!("{:?} {:?}", t.elapsed(), e.wait(&id).await);
        println!("{:?} waited", t.elapsed());
        while std::path::Path::new("/tmp/dg2/pid").exists() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await
        }
        println!("{:?} stopped", t.elapsed());
        std::process::Command::new("sh").arg("/tmp/dg2/start.sh").status().unwrap();
        println!("{:?} starting", t.elapsed());
        let e = r.wait_for(|s| s.ready().is_some()).await.unwrap().ready().unwrap().clone();
        println!("{:?} {:?}", t.elapsed(), e.inspect(&id).await);
        e.remove(&id).await.unwrap();
    }
}
