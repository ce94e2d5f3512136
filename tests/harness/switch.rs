//! An address that leads to one server, and then to another: what a failover does to a name or an address that clients know.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// An address on 127.0.0.1. It stays until the program ends.
#[derive(Debug)]
pub struct Switch {
    port: u16,
    leads: Arc<Mutex<Leads>>,
}

#[derive(Debug)]
struct Leads {
    to: u16,
    /// Both ends of each connection.
    open: Vec<[TcpStream; 2]>,
}

impl Switch {
    /// Leads to this port.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let own = listener.local_addr().unwrap().port();
        let leads = Arc::new(Mutex::new(Leads {
            to: port,
            open: Vec::new(),
        }));
        let current = Arc::clone(&leads);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let mut leads = current.lock().unwrap();
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, leads.to));
                // Where nobody listens the client sees its connection end.
                if let Ok(server) = TcpStream::connect(address) {
                    let both = || [client.try_clone().unwrap(), server.try_clone().unwrap()];
                    let [from, to] = both();
                    pour(from, to);
                    let [to, from] = both();
                    pour(from, to);
                    leads.open.push([client, server]);
                }
            }
        });
        Self { port: own, leads }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Leads to that port from here on; what is open ends, or stays where it is.
    pub fn lead_to(&self, port: u16, cut: bool) {
        let mut leads = self.leads.lock().unwrap();
        leads.to = port;
        if cut {
            for socket in leads.open.drain(..).flatten() {
                let _gone = socket.shutdown(Shutdown::Both);
            }
        }
    }
}

fn pour(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let _ended = io::copy(&mut from, &mut to);
        let _gone = to.shutdown(Shutdown::Both);
        let _gone = from.shutdown(Shutdown::Both);
    });
}
