//! A crowd of clients in one process: they log in, wait for a line on standard input, and all send one statement at the same
//! moment. What each is told is a line. It is where libpq's variables lead.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program of the tests: a panic is how it says no, and its output is read by one"
)]

use std::env;
use std::sync::{Arc, Barrier};
use std::thread;

use harness::Login;
use harness::raw::{self, Raw};

fn main() {
    let mut args = env::args().skip(1);
    let count: usize = args.next().unwrap().parse().unwrap();
    let sql = args.next().unwrap();
    let variable = |name: &str| env::var(name).unwrap();
    let login = Login {
        host: variable("PGHOST"),
        port: variable("PGPORT").parse().unwrap(),
        user: variable("PGUSER"),
        password: variable("PGPASSWORD"),
        database: variable("PGDATABASE"),
        root_cert: env::var_os("PGSSLROOTCERT").map(Into::into),
    };
    let start = Arc::new(Barrier::new(count + 1));
    let threads: Vec<_> = (0..count)
        .map(|_| {
            let mut client = Raw::login(&login);
            let (start, message) = (Arc::clone(&start), raw::query(&sql));
            thread::spawn(move || {
                start.wait();
                client.send(&message);
                tell(&mut client);
            })
        })
        .collect();
    println!("crowd ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    start.wait();
    for thread in threads {
        thread.join().unwrap();
    }
}

fn tell(client: &mut Raw) {
    loop {
        let frame = client.frame();
        match frame.tag {
            b'Z' => return,
            b'N' => println!("told {}", frame.field('M').unwrap_or_default()),
            b'E' => println!(
                "refused {} {}",
                frame.sqlstate(),
                frame.field('M').unwrap_or_default()
            ),
            _ => println!("answer {}", frame.text()),
        }
    }
}
