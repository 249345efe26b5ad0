//! The least that a client of big files can be: a socket, a head and the kernel's own copying. It measures the server
//! and not itself.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use deskgrid_tests::Deskgrid;

/// Large enough that calls cost nothing beside the copying.
const BUFFER: usize = 1 << 20;

/// Sends a file under `key`.
pub(crate) fn put(server: &Deskgrid, key: &str, path: &Path) -> Duration {
    let mut file = File::open(path).expect("the file");
    let length = file.metadata().expect("the file").len();
    let began = Instant::now();
    let mut stream = connect(server);
    let (host, head) = (server.port(), format!("content-length: {length}\r\nconnection: close"));
    write!(stream, "PUT /f/{key} HTTP/1.1\r\nhost: localhost:{host}\r\n{head}\r\n\r\n").expect("a request");
    io::copy(&mut file, &mut stream).expect("the server takes it");
    read_head(&mut BufReader::new(stream));
    began.elapsed()
}

/// Reads a file and drops its bytes.
pub(crate) fn get(server: &Deskgrid, key: &str, length: u64) -> Duration {
    let began = Instant::now();
    let mut stream = connect(server);
    let host = server.port();
    write!(stream, "GET /f/{key} HTTP/1.1\r\nhost: localhost:{host}\r\nconnection: close\r\n\r\n")
        .expect("a request");
    let mut answer = BufReader::with_capacity(BUFFER, stream);
    read_head(&mut answer);
    assert_eq!(drain(answer), length);
    began.elapsed()
}

/// The same bytes through a connection of this computer with nothing at either end.
pub(crate) fn through_loopback(path: &Path) -> Duration {
    let mut file = File::open(path).expect("the file");
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("a port");
    let began = Instant::now();
    let sender = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        io::copy(&mut file, &mut stream).expect("the bytes go")
    });
    let received = drain(TcpStream::connect(address).expect("a connection"));
    assert_eq!(received, sender.join().expect("it ends"));
    began.elapsed()
}

fn connect(server: &Deskgrid) -> TcpStream {
    TcpStream::connect(("127.0.0.1", server.port())).expect("the server listens")
}

fn read_head(answer: &mut BufReader<TcpStream>) {
    let mut line = String::new();
    answer.read_line(&mut line).expect("an answer");
    assert!(line.contains(" 200 "), "{line}");
    while line != "\r\n" {
        line.clear();
        answer.read_line(&mut line).expect("a whole head");
    }
}

fn drain(mut stream: impl io::Read) -> u64 {
    let (mut buffer, mut sum) = (vec![0; BUFFER], 0);
    loop {
        match stream.read(&mut buffer).expect("the bytes come") {
            0 => return sum,
            count => sum += count as u64,
        }
    }
}
