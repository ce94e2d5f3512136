//! Login: the startup packet, SCRAM, and what a new session is told. Until it is over nobody learns
//! whether a user or a tenant exists: both take the same path and the same words (hazards R8).

use std::sync::Arc;
use std::time::Instant;

use bytestring::ByteString;
use gate::{Principal, Settings};
use wire::backend::{Status, encode};
use wire::frame::Frame;
use wire::frontend::{Frontend, tag};
use wire::scram::{self, Server, ServerFirst};
use wire::startup::{MINOR_MAX, Startup};

use crate::effect::Effect;
use crate::fault::Fault;
use crate::input::{Account, Admission, Destination, Input};
use crate::ours::Ours;
use crate::settings::login_settings;
use crate::talk::{Io, Limits, Peer, Talk};
use crate::told::Told;

/// Somebody who has not proven yet who they are.
#[derive(Debug)]
pub(crate) struct Login {
    peer: Peer,
    limits: Arc<Limits>,
    user: ByteString,
    database: ByteString,
    settings: Arc<Settings>,
    ours: Ours,
    nonce: [u8; 18],
    deadline: Instant,
    phase: Phase,
}

enum Phase {
    /// The account is looked up.
    Lookup,
    /// The client is to choose a mechanism and send its first message.
    First(Box<Account>),
    /// The client is to prove that it knows the password.
    Proof(ServerFirst, Option<Arc<Principal>>, Option<Destination>),
    /// It has; what a new session must know is fetched.
    Admit(Arc<Principal>, gate::TenantId),
}

impl std::fmt::Debug for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Lookup => "Lookup",
            Self::First(_) => "First",
            Self::Proof(..) => "Proof",
            Self::Admit(..) => "Admit",
        })
    }
}

/// Where a login leads.
#[derive(Debug)]
pub(crate) enum Next {
    Stay(Box<Login>),
    /// To a tenant.
    Talk(Box<Talk>),
    /// To the console.
    Console(Arc<Principal>),
    Close,
}

impl Login {
    /// Starts with the startup packet; `nonce` is random.
    pub(crate) fn start(
        startup: &Startup,
        peer: Peer,
        nonce: [u8; 18],
        limits: Arc<Limits>,
        now: Instant,
        io: &mut Io,
    ) -> Next {
        negotiate(startup, io);
        let checked = match (startup.user(), login_settings(startup)) {
            (None, _) => Err(Fault::no_user()),
            (Some(user), Ok(login)) => Ours::of_login(&login.ours)
                .map(|ours| (ByteString::from(user), Arc::new(login.settings), ours)),
            (_, Err(fault)) => Err(fault),
        };
        let (user, settings, ours) = match checked {
            Ok(checked) => checked,
            Err(fault) => {
                io.error(&fault.fatal());
                return Next::Close;
            }
        };
        let database = ByteString::from(startup.database().unwrap_or_default());
        io.effect(Effect::Lookup {
            user: user.clone(),
            database: database.clone(),
        });
        let deadline = now + limits.login;
        let login = Self {
            peer,
            limits,
            user,
            database,
            settings,
            ours,
            nonce,
            deadline,
            phase: Phase::Lookup,
        };
        login.stay(Phase::Lookup)
    }

    /// When the login is over at the latest.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the client's next message is awaited.
    pub(crate) fn takes_frames(&self) -> bool {
        matches!(self.phase, Phase::First(_) | Phase::Proof(..))
    }

    fn stay(self, phase: Phase) -> Next {
        Next::Stay(Box::new(Self { phase, ..self }))
    }

    pub(crate) fn handle(mut self, now: Instant, input: Input<'_>, io: &mut Io) -> Next {
        match (input, std::mem::replace(&mut self.phase, Phase::Lookup)) {
            (Input::Account(account), Phase::Lookup) => {
                encode::authentication_sasl(&[scram::MECHANISM], &mut io.out);
                self.stay(Phase::First(Box::new(account)))
            }
            (Input::Frame(frame), Phase::First(account)) => {
                match first(frame, *account, self.nonce, &self.user, io) {
                    Ok(phase) => self.stay(phase),
                    Err(fault) => refuse(&fault, io),
                }
            }
            (Input::Frame(frame), Phase::Proof(server, principal, destination)) => {
                self.proof(&frame, server, principal, destination, io)
            }
            (Input::Admitted(Ok(admission)), Phase::Admit(principal, tenant)) => {
                Next::Talk(Box::new(self.admitted(admission, principal, tenant, io)))
            }
            (Input::Admitted(Err(fault)), _) => refuse(&fault.fatal(), io),
            (Input::Tick, _) if self.deadline <= now => refuse(&Fault::login_timeout(), io),
            (Input::ClientGone, _) => Next::Close,
            (Input::Drain, _) => refuse(&Fault::shutdown(None), io),
            (_, phase) => self.stay(phase),
        }
    }

    fn proof(
        self,
        frame: &Frame,
        server: ServerFirst,
        principal: Option<Arc<Principal>>,
        destination: Option<Destination>,
        io: &mut Io,
    ) -> Next {
        if frame.tag != tag::PASSWORD {
            return refuse(&Fault::not_a_password(), io);
        }
        let (Ok(last), Some(principal)) = (server.finish(&frame.body), principal) else {
            return refuse(&Fault::authentication(&self.user), io);
        };
        encode::authentication_sasl_final(&last, &mut io.out);
        match destination {
            None => refuse(&Fault::no_tenant(&self.database), io),
            Some(Destination::AnotherHost) => refuse(&Fault::another_host(&self.database), io),
            Some(Destination::Console) => {
                let told = Told::new(Arc::new(console_parameters()), self.peer.key.pid);
                greet(&told, &self.peer, io);
                Next::Console(principal)
            }
            Some(Destination::Tenant(tenant)) => {
                io.effect(Effect::Admit {
                    principal: Arc::clone(&principal),
                    login: Arc::clone(&self.settings),
                });
                self.stay(Phase::Admit(principal, tenant))
            }
        }
    }

    fn admitted(
        self,
        admission: Admission,
        principal: Arc<Principal>,
        tenant: gate::TenantId,
        io: &mut Io,
    ) -> Talk {
        let mut told = Told::new(admission.parameters, self.peer.key.pid);
        if let Some(name) = self.settings.get("application_name") {
            told.is_news("application_name", name);
        }
        greet(&told, &self.peer, io);
        Talk {
            peer: self.peer,
            limits: self.limits,
            principal,
            tenant,
            mode: admission.mode,
            login: Arc::clone(&self.settings),
            settings: self.settings,
            ours: self.ours.or_else_waits(admission.waits),
            system_identifier: admission.system_identifier,
            role: admission.role,
            search_path: admission.search_path,
            names: crate::names::Names::default(),
            portals: crate::names::Portals::default(),
            transaction: crate::transaction::Transaction::None,
            segment: None,
            told,
            lent: None,
            state: crate::lent::State::default(),
            restore: None,
            rest: Vec::new(),
            intents: 0,
            transactions_ended: 0,
            sent: Vec::new(),
            heard: crate::heard::Heard::default(),
        }
    }
}

/// A newer minor version, or protocol options that nobody here knows, are negotiated down (R7).
fn negotiate(startup: &Startup, io: &mut Io) {
    let unknown: Vec<&str> = startup
        .parameters
        .iter()
        .map(|(name, _)| &**name)
        .filter(|name| name.starts_with("_pq_."))
        .collect();
    if startup.minor > MINOR_MAX || !unknown.is_empty() {
        let minor = startup.minor.min(MINOR_MAX);
        encode::negotiate_protocol_version(minor, &unknown, &mut io.out);
    }
}

fn first(
    frame: Frame,
    account: Account,
    nonce: [u8; 18],
    user: &str,
    io: &mut Io,
) -> Result<Phase, Fault> {
    let Ok(Frontend::Password(body)) = Frontend::decode(frame) else {
        return Err(Fault::not_a_password());
    };
    let (mechanism, message) =
        scram::initial_response(&body).map_err(|error| Fault::malformed(&error))?;
    let (server, reply) = Server::new(account.verifier, nonce)
        .first(&mechanism, &message)
        .map_err(|_| Fault::authentication(user))?;
    encode::authentication_sasl_continue(&reply, &mut io.out);
    Ok(Phase::Proof(server, account.principal, account.destination))
}

fn refuse(fault: &Fault, io: &mut Io) -> Next {
    io.error(fault);
    Next::Close
}

/// What ends a login: the parameters, the key to cancel with, and the first ReadyForQuery.
fn greet(told: &Told, peer: &Peer, io: &mut Io) {
    encode::authentication_ok(&mut io.out);
    for (name, value) in told.parameters() {
        encode::parameter_status(name, value, &mut io.out);
    }
    encode::backend_key_data(&peer.key, &mut io.out);
    io.ready(Status::Idle);
}

fn console_parameters() -> Settings {
    let pairs = [
        ("client_encoding", "UTF8"),
        ("server_encoding", "UTF8"),
        (
            "server_version",
            concat!("18.0/portcullis ", env!("CARGO_PKG_VERSION")),
        ),
        ("standard_conforming_strings", "on"),
        ("integer_datetimes", "on"),
        ("DateStyle", "ISO, MDY"),
    ];
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}
