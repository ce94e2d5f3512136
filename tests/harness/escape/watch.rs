//! Looks, as the superuser and past the gate, at what an attempt has changed: of the other tenant's, of what keeps it, and of the
//! rights and settings of who tried. It never changes anything but to end sessions.

use super::place::{Place, Tenant};
use crate::login::Login;
use crate::raw::{Frame, Raw};

/// What is the other's, and what keeps it.
const THEIRS: &str = "select concat_ws(' | ',
    (select string_agg(d::text, ',' order by id) from {theirs} d where tenant = '{b}'),
    (select encode(lo_get({lo}), 'hex')),
    (select m::text from pg_largeobject_metadata m where oid = {lo}),
    (select concat_ws(',', relowner::regrole, relrowsecurity, relforcerowsecurity, relacl) from pg_class
        where oid = '{theirs}'::regclass),
    (select string_agg(concat_ws(',', polname, polroles::text, pg_get_expr(polqual, polrelid)), ';' order by polname)
        from pg_policy),
    (select string_agg(concat_ws(',', nspname, nspowner::regrole, nspacl), ';' order by nspname) from pg_namespace
        where nspname !~ '^pg_(toast_)?temp'),
    (select concat_ws(',', datname, datdba::regrole, datacl, datallowconn) from pg_database where datname = '{b_db}'),
    (select string_agg(a::text, ';' order by rolname) from pg_authid a where rolname like '{b}%'),
    (select string_agg(concat_ws('>', roleid::regrole, member::regrole), ';' order by roleid, member)
        from pg_auth_members where roleid::regrole::text like '%{b}%' or member::regrole::text like '%{b}%'),
    (select string_agg(s::text, ';' order by setdatabase, setrole) from pg_db_role_setting s
        where setrole in (select oid from pg_roles where rolname like '{b}%') or setrole = 0),
    ({b_count})) as theirs";

/// What who tries may be and do.
const RIGHTS: &str = "select concat_ws(' | ',
    (select string_agg(concat_ws(',', rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin,
        rolreplication, rolbypassrls), ';' order by rolname)
        from pg_roles where rolname like '{a}%' or rolname like 'way%'),
    (select string_agg(concat_ws('>', roleid::regrole, member::regrole), ';' order by roleid, member)
        from pg_auth_members where member::regrole::text like '%{a}%'),
    (select string_agg(concat_ws(',', datname, datdba::regrole), ';') from pg_database where datname = '{a_db}')) as rights";

/// How later sessions of theirs begin.
const SETTINGS: &str = "select concat_ws(' | ',
    (select string_agg(concat_ws(',', rolname, rolpassword), ';' order by rolname) from pg_authid where rolname like '{a}%'),
    (select string_agg(s::text, ';' order by setdatabase, setrole) from pg_db_role_setting s
        where setrole in (select oid from pg_roles where rolname like '{a}%') or setrole = 0
            or setdatabase = (select oid from pg_database where datname = '{a_db}'))) as settings";

/// Two superusers who watch.
pub(super) struct Watch<'a> {
    place: &'a Place,
    at_a: Raw,
    at_b: Raw,
    last: Looked,
}

/// What they saw.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Looked {
    theirs: String,
    rights: String,
    settings: String,
}

/// What is no longer as it was.
#[derive(Debug)]
pub(super) struct Changes {
    pub(super) theirs: Option<String>,
    pub(super) rights: Option<String>,
    pub(super) settings: bool,
}

impl<'a> Watch<'a> {
    #[track_caller]
    pub(super) fn new(place: &'a Place) -> Self {
        let mut watch = Self {
            place,
            at_a: superuser(place, &place.a),
            at_b: superuser(place, &place.b),
            last: Looked {
                theirs: String::new(),
                rights: String::new(),
                settings: String::new(),
            },
        };
        watch.renew();
        let Looked { theirs, rights, .. } = &watch.last;
        assert!(theirs.contains(&place.b.kept.text), "{theirs}");
        assert!(rights.contains(&place.a.name), "{rights}");
        watch
    }

    /// Takes what is now for what should be.
    #[track_caller]
    pub(super) fn renew(&mut self) {
        self.last = self.now();
    }

    /// What has changed since.
    #[track_caller]
    pub(super) fn look(&mut self) -> Changes {
        let now = self.now();
        let was = &self.last;
        Changes {
            theirs: difference("what is theirs", &was.theirs, &now.theirs),
            rights: difference("its own rights", &was.rights, &now.rights),
            settings: was.settings != now.settings,
        }
    }

    /// The gate has to log in again, and begins with the settings of now.
    #[track_caller]
    pub(super) fn end_sessions(&mut self) {
        let end = "select pg_terminate_backend(pid, 10000) from pg_stat_activity where usename like '{a}%'";
        answer(&mut self.at_a, &self.place.words.fill(end));
    }

    #[track_caller]
    fn now(&mut self) -> Looked {
        let words = &self.place.words;
        Looked {
            theirs: answer(&mut self.at_b, &words.fill(THEIRS)),
            rights: answer(&mut self.at_a, &words.fill(RIGHTS)),
            settings: answer(&mut self.at_a, &words.fill(SETTINGS)),
        }
    }
}

/// The parts that are not the same.
fn difference(what: &str, was: &str, is: &str) -> Option<String> {
    if was == is {
        return None;
    }
    let (was, is): (Vec<_>, Vec<_>) = (was.split(" | ").collect(), is.split(" | ").collect());
    let part = |parts: &[&str], at: usize| -> String {
        let part = parts.get(at).copied().unwrap_or("nothing");
        part.chars().take(200).collect()
    };
    let at = (0..was.len())
        .find(|at| was.get(*at) != is.get(*at))
        .unwrap_or(0);
    Some(format!(
        "changed: {what}: {} became {}",
        part(&was, at),
        part(&is, at)
    ))
}

#[track_caller]
fn superuser(place: &Place, tenant: &Tenant) -> Raw {
    let (port, password) = &place.superusers[tenant.server];
    Raw::login(&Login {
        host: "127.0.0.1".to_owned(),
        port: *port,
        user: "postgres".to_owned(),
        password: password.clone(),
        database: tenant.database.clone(),
        root_cert: None,
    })
}

/// Its rows; an error is an answer too.
#[track_caller]
fn answer(admin: &mut Raw, sql: &str) -> String {
    let frames = admin.query(sql);
    let said = frames.iter().filter(|it| matches!(it.tag, b'D' | b'E'));
    let said = said.map(|frame| match frame.tag {
        b'D' => frame
            .columns()
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(","),
        _ => Frame::describe(frame),
    });
    said.collect::<Vec<_>>().join("\n")
}
