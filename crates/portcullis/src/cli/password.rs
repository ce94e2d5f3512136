//! `portcullis password`: a password becomes a SCRAM verifier for the gate's configuration. It never
//! writes the password anywhere, and never takes it from the command line.

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use secrecy::{ExposeSecret, SecretString};
use wire::scram::Verifier;

use super::args::PasswordArgs;
use super::trouble::{Exit, Trouble};

/// Reads a password and prints its verifier.
pub fn run(args: &PasswordArgs, json: bool) -> ExitCode {
    let made = typed().and_then(|password| make(&password, args.iterations));
    match made.and_then(|verifier| print(&verifier, json)) {
        Ok(()) => Exit::Done.into(),
        Err(trouble) => trouble.tell().into(),
    }
}

fn typed() -> Result<SecretString, Trouble> {
    if !io::stdin().is_terminal() {
        return line(&mut io::stdin().lock());
    }
    let ask = |prompt: &str| rpassword::prompt_password(prompt).map(SecretString::from);
    let unread = |error: io::Error| Trouble::Usage(format!("could not read a password: {error}"));
    let first = ask("Enter password: ").map_err(unread)?;
    let second = ask("Enter it again: ").map_err(unread)?;
    if first.expose_secret() != second.expose_secret() {
        return Err(Trouble::Usage("the passwords are not the same".to_owned()));
    }
    Ok(first)
}

/// One line, without its end.
fn line(input: &mut dyn BufRead) -> Result<SecretString, Trouble> {
    let mut line = String::new();
    input
        .read_line(&mut line)
        .map_err(|error| Trouble::Usage(format!("could not read a password: {error}")))?;
    Ok(SecretString::from(line.trim_end_matches(['\n', '\r'])))
}

fn make(password: &SecretString, iterations: u32) -> Result<String, Trouble> {
    let password = password.expose_secret();
    if password.is_empty() {
        return Err(Trouble::Usage("a password cannot be empty".to_owned()));
    }
    if !password.is_ascii() {
        let _ = writeln!(
            anstream::stderr(),
            "portcullis: note: the password is not all ASCII: a client may write some characters in another way"
        );
    }
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)
        .map_err(|error| Trouble::Local(format!("could not draw a salt: {error}")))?;
    Ok(Verifier::from_password(password, &salt, iterations).to_string())
}

fn print(verifier: &str, json: bool) -> Result<(), Trouble> {
    let mut out = anstream::stdout();
    if json {
        writeln!(out, "{}", serde_json::json!({ "verifier": verifier }))?;
    } else {
        writeln!(out, "{verifier}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_of_input() {
        for (input, password) in [
            ("secret\nmore", "secret"),
            ("secret\r\n", "secret"),
            (" a b ", " a b "),
            ("", ""),
        ] {
            assert_eq!(
                line(&mut input.as_bytes()).unwrap().expose_secret(),
                password
            );
        }
    }

    #[test]
    fn a_verifier_has_the_iterations_and_a_salt_of_its_own() {
        let password = SecretString::from("secret");
        let first = make(&password, 5000).unwrap();
        assert!(first.starts_with("SCRAM-SHA-256$5000:"), "{first}");
        assert_ne!(first, make(&password, 5000).unwrap());
        assert_eq!(
            make(&SecretString::from(""), 4096).unwrap_err().exit(),
            Exit::Usage
        );
    }
}
