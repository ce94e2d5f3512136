//! One login, made to see whether it goes. What is asked of the server is what every login asks; nothing of anybody's is sent.

use std::sync::Arc;

use gate::Settings;
use rustls::pki_types::CertificateDer;

use crate::connect::{ConnectError, connect};
use crate::credential::Once;
use crate::dial::Dial;
use crate::options::Options;
use crate::reset::farewell;

/// What a login learnt.
#[derive(Clone, Debug)]
pub struct Probe {
    /// ParameterStatus values.
    pub parameters: Settings,
    /// The cluster's identifier, if the role may read it.
    pub system_identifier: Option<Arc<str>>,
    /// The server's certificate, under TLS.
    pub certificate: Option<CertificateDer<'static>>,
}

/// Logs in as these options say, and leaves. Dropping the future closes the connection.
pub async fn probe<D: Dial>(dial: &D, options: &Options) -> Result<Probe, ConnectError> {
    let settings = Settings::default();
    let once = Once::of(options).await?;
    let login = connect(dial, options, once.issue(), &settings);
    #[expect(clippy::disallowed_methods, reason = "a login is a slow state")]
    let login = tokio::time::timeout(options.connect, login).await;
    let (upstream, greeting) = login.unwrap_or(Err(ConnectError::Timeout))?;
    let certificate = upstream.stream.server_certificate().cloned();
    farewell(upstream).await;
    once.end().await;
    Ok(Probe {
        parameters: greeting.parameters,
        system_identifier: greeting.system_identifier,
        certificate,
    })
}
