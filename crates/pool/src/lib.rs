//! Upstream connections: per tenant a pool of a bounded size, each connection logged in with the
//! tenant's own credential, never shared between tenants.
//!
//! An upstream takes [`gate::Cargo`] and nothing else: there is no way to send it bytes. What comes
//! back is handed up unread, but for the login.

mod ask;
mod binding;
mod cancel;
mod connect;
mod credential;
mod dial;
mod encode;
mod figures;
mod idle;
pub mod isolation;
mod lease;
mod lineage;
mod logged;
mod options;
mod pool;
mod probe;
mod progress;
mod quota;
mod reset;
mod server;
mod servers;
mod storm;
mod stream;
mod tls;
mod turns;
mod upstream;

pub use ask::{AskError, CatalogRow, install};
pub use cancel::CancelTarget;
pub use connect::ConnectError;
pub use credential::{
    Address, Aws, AwsError, AwsKeys, CommandError, CredentialError, HttpError, KeysError,
    LoginSource, Vault, VaultAuth, VaultError, VaultSettings,
};
pub use dial::{Dial, TcpDial};
pub use figures::Figures;
pub use gate::Disposition;
pub use idle::Borrower;
pub use lease::Lease;
pub use logged::LoginCounts;
pub use options::{Options, Password, Station};
pub use pool::{CheckoutError, Facts, Pool};
pub use probe::{Probe, probe};
pub use progress::Progress;
pub use quota::Worker;
pub use server::ServerLimits;
pub use servers::Servers;
pub use stream::Stream;
pub use tls::{ClientTls, Roots, TlsError};
pub use upstream::Upstream;
