//! temp
use bollard::query_parameters::*;
use bytes::Bytes;
use deskgrid_docker::*;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::time::Instant;
struct S(&'static str, Vec<f64>);
fn med(v: &mut Vec<f64>) -> (f64, f64) {
    v.sort_by(|a, b| a.total_cmp(b));
    (v[v.len() / 2], v[v.len() * 95 / 100])
}
#[tokio::main]
async fn main() {
    let w = EngineWatch::start(std::env::var("DESKGRID_TEST_DOCKER_HOST").ok());
    let mut r = w.state();
    let t = Instant::now();
    let e = r.wait_for(|s| s.ready().is_some()).await.unwrap().ready().unwrap().clone();
    println!("ready after {:?} {:?}", t.elapsed(), e.info());
    let d = bollard::Docker::connect_with_host(&e.info().address.to_string()).unwrap();
    let n = 20;
    macro_rules! m {
        ($v:ident,$e:expr) => {{
            let t = Instant::now();
            let x = $e;
            $v.1.push(t.elapsed().as_secs_f64() * 1e3);
            x
        }};
    }
    e.ensure_network().await.unwrap();
    for net in [Network::Jobs, Network::Off] {
        let (mut cr, mut at, mut st, mut wa, mut rm, mut tot, mut ping, mut insp, mut ii, mut up, mut dl) = (
            S("create", vec![]),
            S("attach", vec![]),
            S("start", vec![]),
            S("wait", vec![]),
            S("remove", vec![]),
            S("total to exit", vec![]),
            S("ping", vec![]),
            S("inspect", vec![]),
            S("ensure_image", vec![]),
            S("upload", vec![]),
            S("download", vec![]),
        );
        for _ in 0..n {
            let spec = ContainerSpec {
                image: "deskgrid-test/busybox".into(),
                cmd: Some(vec!["true".into()]),
                network: net,
                ..Default::default()
            };
            m!(ii, e.ensure_image("deskgrid-test/busybox", None, |_| {}).await.unwrap());
            m!(ping, e.ping().await.unwrap());
            let t0 = Instant::now();
            let id = m!(cr, e.create(&spec).await.unwrap());
            let mut o = m!(at, e.attach(&id).await.unwrap());
            m!(st, e.start(&id).await.unwrap());
            m!(wa, e.wait(&id).await.unwrap());
            while o.next().await.is_some() {}
            tot.1.push(t0.elapsed().as_secs_f64() * 1e3);
            m!(insp, e.inspect(&id).await.unwrap());
            let tar = {
                let mut b = tar::Builder::new(vec![]);
                for i in 0..3 {
                    let mut h = tar::Header::new_gnu();
                    h.set_size(100);
                    h.set_mode(0o644);
                    b.append_data(&mut h, format!("f{i}"), &[b'x'; 100][..]).unwrap();
                }
                Bytes::from(b.into_inner().unwrap())
            };
            m!(up, e.upload(&id, "/tmp", stream::iter([Ok(tar)])).await.unwrap());
            let _: Vec<Bytes> = m!(dl, e.download(&id, "/tmp").try_collect().await.unwrap());
            m!(rm, e.remove(&id).await.unwrap());
        }
        println!("{net:?}");
        for s in [ii, ping, cr, at, st, wa, tot, insp, up, dl, rm] {
            let mut s = s;
            let (a, b) = med(&mut s.1);
            println!("  {:14} {a:7.2} {b:7.2}", s.0);
        }
    }
    // variants, bridge
    for variant in [
        "seq",
        "attach||start? wait next-exit before start",
        "attach+wait joined then start",
        "upload before start",
        "remove in background",
    ] {
        let mut v = vec![];
        let mut fails = 0;
        let mut tail = vec![];
        for _ in 0..n {
            let spec = ContainerSpec {
                image: "deskgrid-test/busybox".into(),
                cmd: Some(vec!["echo".into(), "hi".into()]),
                ..Default::default()
            };
            let id = e.create(&spec).await.unwrap();
            let t = Instant::now();
            let s = id.as_str();
            let out: Vec<u8> = match variant {
                "seq" | "upload before start" => {
                    if variant != "seq" {
                        let mut b = tar::Builder::new(vec![]);
                        let mut h = tar::Header::new_gnu();
                        h.set_size(1);
                        b.append_data(&mut h, "f", &b"x"[..]).unwrap();
                        e.upload(&id, "/tmp", stream::iter([Ok(Bytes::from(b.into_inner().unwrap()))]))
                            .await
                            .unwrap();
                    }
                    let mut o = e.attach(&id).await.unwrap();
                    e.start(&id).await.unwrap();
                    let x = Instant::now();
                    e.wait(&id).await.unwrap();
                    let mut b = vec![];
                    while let Some(Ok(c)) = o.next().await {
                        b.extend_from_slice(&c.bytes)
                    }
                    tail.push(x.elapsed().as_secs_f64() * 1e3);
                    b
                }
                "attach||start? wait next-exit before start" => {
                    let (o, _) = tokio::join!(e.attach(&id), e.start(&id));
                    let mut o = o.unwrap();
                    e.wait(&id).await.unwrap();
                    let mut b = vec![];
                    while let Some(Ok(c)) = o.next().await {
                        b.extend_from_slice(&c.bytes)
                    }
                    b
                }
                "attach+wait joined then start" => {
                    let mut o = e.attach(&id).await.unwrap();
                    let mut ws = d.wait_container(
                        s,
                        Some(WaitContainerOptionsBuilder::new().condition("next-exit").build()),
                    );
                    let h = tokio::spawn(async move { ws.next().await });
                    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                    e.start(&id).await.unwrap();
                    let x = Instant::now();
                    h.await.unwrap().unwrap().unwrap();
                    tail.push(x.elapsed().as_secs_f64() * 1e3);
                    let mut b = vec![];
                    while let Some(Ok(c)) = o.next().await {
                        b.extend_from_slice(&c.bytes)
                    }
                    b
                }
                _ => {
                    let mut o = e.attach(&id).await.unwrap();
                    e.start(&id).await.unwrap();
                    let mut b = vec![];
                    while let Some(Ok(c)) = o.next().await {
                        b.extend_from_slice(&c.bytes)
                    }
                    let x = Instant::now();
                    e.wait(&id).await.unwrap();
                    tail.push(x.elapsed().as_secs_f64() * 1e3);
                    b
                }
            };
            v.push(t.elapsed().as_secs_f64() * 1e3);
            if out != b"hi\n" {
                fails += 1
            }
            e.remove(&id).await.unwrap();
        }
        let (a, b) = med(&mut v);
        println!(
            "{variant}: {a:.1} {b:.1} lost outputs {fails}; tail {:?}",
            if tail.is_empty() { None } else { Some(med(&mut tail)) }
        );
    }
    // image inspect via listing w/ info
    let mut v = vec![];
    for _ in 0..50 {
        let t = Instant::now();
        d.version().await.unwrap();
        v.push(t.elapsed().as_secs_f64() * 1e3)
    }
    println!("version {:?}", med(&mut v));
    let mut v = vec![];
    for _ in 0..50 {
        let t = Instant::now();
        d.info().await.unwrap();
        v.push(t.elapsed().as_secs_f64() * 1e3)
    }
    println!("info {:?}", med(&mut v));
    let mut v = vec![];
    for _ in 0..50 {
        let t = Instant::now();
        d.inspect_image("deskgrid-test/busybox:latest").await.unwrap();
        v.push(t.elapsed().as_secs_f64() * 1e3)
    }
    println!("inspect image {:?}", med(&mut v));
    let _ = None::<ListContainersOptions>;
}
