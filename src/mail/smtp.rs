//! Sending over SMTP.

use super::queue::Outgoing;
use super::sender::{Carrier, Refusal};
use crate::config::{MailSettings, SmtpSecurity};
use crate::model::{Secret, UnixMs, with_causes};
use anyhow::Context;
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use std::path::Path;
use std::pin::Pin;
use std::time::{Duration, UNIX_EPOCH};

/// How long the server may take for each answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// One server, as the settings name it.
#[derive(Debug)]
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Smtp {
    /// The settings' server; `None` when they name none.
    ///
    /// # Errors
    /// A setting that cannot be used.
    pub fn new(
        settings: &MailSettings,
        password: Option<Secret>,
        ca_file: Option<&Path>,
    ) -> anyhow::Result<Option<Self>> {
        let Some(host) = &settings.smtp_host else { return Ok(None) };
        let tls = match settings.smtp_security {
            SmtpSecurity::None => Tls::None,
            SmtpSecurity::Starttls => Tls::Required(tls_parameters(host, ca_file)?),
            SmtpSecurity::Tls => Tls::Wrapper(tls_parameters(host, ca_file)?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(settings.smtp_port)
            .tls(tls)
            .timeout(Some(TIMEOUT));
        if let Some(user) = &settings.smtp_user {
            let missing = "smtp_user is set, but there is no password: set FANFARE_SMTP_PASSWORD or smtp_password_file";
            let password = password.context(missing)?;
            let password = String::from_utf8_lossy(password.expose()).into_owned();
            builder = builder.credentials(Credentials::new(user.clone(), password));
        }
        Ok(Some(Self { transport: builder.build(), from: settings.mail_from.clone() }))
    }

    fn message(&self, mail: &Outgoing) -> Result<Message, Refusal> {
        let refused = |reason: String| Refusal { is_final: true, reason };
        let letter = mail.letter.as_ref().ok_or_else(|| refused(String::from("it has no text")))?;
        let to: Mailbox = mail.row.recipient.parse().map_err(|error| refused(format!("the recipient: {error}")))?;
        let id = format!("<{:016x}@{}>", mail.row.id, self.from.email.domain());
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .date(system_time(mail.row.created_at))
            .message_id(Some(id))
            .subject(&letter.subject)
            .multipart(MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone()));
        message.map_err(|error| refused(error.to_string()))
    }
}

impl Carrier for Smtp {
    fn send<'a>(&'a self, mail: &'a Outgoing) -> Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send + 'a>> {
        Box::pin(async move {
            let message = self.message(mail)?;
            let sent = self.transport.send(message).await;
            sent.map(|_| ()).map_err(|error| Refusal { is_final: error.is_permanent(), reason: with_causes(&error) })
        })
    }
}

fn tls_parameters(host: &str, ca_file: Option<&Path>) -> anyhow::Result<TlsParameters> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = ca_file {
        let pem = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        builder = builder.add_root_certificate(Certificate::from_pem(&pem).context("the certificates of ca_file")?);
    }
    builder.build().context("preparing TLS for mail")
}

fn system_time(at: UnixMs) -> std::time::SystemTime {
    UNIX_EPOCH + at.since(UnixMs(0))
}
