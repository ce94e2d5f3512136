//! The SQL that makes a tenant: roles, grants, and what keeps it apart from others on its server, in each of the four models. Pure:
//! wishes in, statements out; it never connects, and passwords come as verifiers. See decision 18.

use gate::isolation::Isolation;

use super::names::{Login, name, text};
use crate::cli::tenant_new_args::SharedTable;

/// What to make.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The tenant, which is also the role that its logins are members of.
    pub tenant: String,
    /// What keeps it apart.
    pub model: Isolation,
    /// Where it is, or will be.
    pub database: String,
    /// Whose the shared tables are; for the model `shared` alone.
    pub owner: String,
    /// The shared tables; for the model `shared` alone.
    pub tables: Vec<SharedTable>,
    /// Whether it has a login for a ledger.
    pub ledger: bool,
}

/// Statements that are run in one place, one after the other, and signed for as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// What it makes, for people.
    pub makes: String,
    /// Where it is run, if not wherever roles are made.
    pub inside: Option<String>,
    /// Asks whether it was run before: a row, or none.
    pub probe: String,
    /// The statements, without the semicolon behind them.
    pub statements: Vec<String>,
}

impl Wish {
    /// Its logins.
    pub fn logins(&self) -> Vec<Login> {
        let mut logins = vec![Login::App, Login::Read];
        if self.model != Isolation::Shared {
            logins.insert(0, Login::Owner);
        }
        if self.ledger {
            logins.push(Login::Ledger);
        }
        logins
    }

    fn role(&self, login: Login) -> String {
        name(&login.role(&self.tenant))
    }

    /// The logins that may make temporary tables.
    fn writers(&self) -> String {
        let writers = self.logins().into_iter();
        let writers = writers.filter(|it| matches!(it, Login::Owner | Login::App));
        writers
            .map(|it| self.role(it))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// All that makes the tenant, in order. `verifier` knows what a login's password is checked against.
pub fn scripts(wish: &Wish, verifier: impl Fn(Login) -> Option<String>) -> Vec<Script> {
    let tenant = &wish.tenant;
    let of_roles = roles(wish, verifier);
    let probe = format!(
        "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = {}",
        text(tenant)
    );
    let script = |makes: &str, statements| Script {
        makes: makes.to_owned(),
        inside: None,
        probe: probe.clone(),
        statements,
    };
    match wish.model {
        Isolation::Shared => vec![script(
            "its roles, and its rows of the shared tables",
            together([of_roles, access(wish), shared(wish), checks(wish)].concat()),
        )],
        Isolation::Schema => vec![script(
            "its roles and its schema",
            together([of_roles, access(wish), schema(wish), checks(wish)].concat()),
        )],
        Isolation::Database | Isolation::Instance => {
            let make = vec![create_database(wish)];
            let rest = [of_roles, access(wish), hand_over(wish), checks(wish)].concat();
            vec![
                script(
                    "its roles and its database",
                    [make, together(rest)].concat(),
                ),
                inside(wish),
            ]
        }
    }
}

/// All of them or none.
fn together(statements: Vec<String>) -> Vec<String> {
    let begin = vec!["BEGIN".to_owned()];
    [begin, statements, vec!["COMMIT".to_owned()]].concat()
}

fn roles(wish: &Wish, verifier: impl Fn(Login) -> Option<String>) -> Vec<String> {
    let group = name(&wish.tenant);
    let mut statements = vec![format!("CREATE ROLE {group} NOLOGIN")];
    for login in wish.logins() {
        let password =
            verifier(login).map_or_else(String::new, |it| format!(" PASSWORD {}", text(&it)));
        // Whoever fences a tenant's rows need not see one of them. The owner may do more than any member, and is no login that
        // the tenant's clients come by.
        let member = match login {
            Login::App | Login::Read => format!(" IN ROLE {group}"),
            Login::Owner | Login::Ledger => String::new(),
        };
        statements.push(format!(
            "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS{password}{member}",
            wish.role(login)
        ));
    }
    let read = wish.role(Login::Read);
    statements.push(format!(
        "ALTER ROLE {read} SET default_transaction_read_only = on"
    ));
    statements
}

/// Who gets into the database: from now on nobody by being anybody.
fn access(wish: &Wish) -> Vec<String> {
    let database = name(&wish.database);
    let mut comers = vec![name(&wish.tenant)];
    if wish.logins().contains(&Login::Owner) {
        comers.push(wish.role(Login::Owner));
    }
    let comers = comers.join(", ");
    let mut statements = vec![
        format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC"),
        format!("GRANT CONNECT ON DATABASE {database} TO {comers}"),
        format!(
            "GRANT TEMPORARY ON DATABASE {database} TO {}",
            wish.writers()
        ),
    ];
    if wish.ledger {
        statements.push(format!(
            "GRANT CONNECT ON DATABASE {database} TO {}",
            wish.role(Login::Ledger)
        ));
    }
    if !has_own_database(wish) {
        statements.push("REVOKE ALL ON SCHEMA public FROM PUBLIC".to_owned());
    }
    statements
}

fn has_own_database(wish: &Wish) -> bool {
    matches!(wish.model, Isolation::Database | Isolation::Instance)
}

fn shared(wish: &Wish) -> Vec<String> {
    let group = name(&wish.tenant);
    let (app, read) = (wish.role(Login::App), wish.role(Login::Read));
    let mut statements = vec![format!(
        "ALTER DEFAULT PRIVILEGES FOR ROLE {} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
        name(&wish.owner)
    )];
    let mut schemas: Vec<&str> = wish.tables.iter().map(|it| it.schema.as_str()).collect();
    schemas.sort_unstable();
    schemas.dedup();
    for schema in &schemas {
        let schema = name(schema);
        statements.push(format!("GRANT USAGE ON SCHEMA {schema} TO {group}"));
        statements.push(format!(
            "GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {app}"
        ));
    }
    for shared in &wish.tables {
        let table = table(shared);
        let own = text(&wish.tenant);
        // The first half can use an index. The second holds whatever role a statement has come to.
        let rows = format!(
            "{} = {own} AND pg_catalog.pg_has_role(session_user, {own}, 'MEMBER')",
            name(&shared.column)
        );
        statements.extend([
            format!("REVOKE ALL ON TABLE {table} FROM PUBLIC"),
            format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"),
            format!("ALTER TABLE {table} FORCE ROW LEVEL SECURITY"),
            format!(
                "CREATE POLICY {group} ON {table} TO {group} USING ({rows}) WITH CHECK ({rows})"
            ),
            format!("GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE {table} TO {app}"),
            format!("GRANT SELECT ON TABLE {table} TO {read}"),
        ]);
    }
    let path: Vec<String> = schemas.into_iter().map(name).collect();
    statements.extend(search_path(wish, &path.join(", ")));
    statements
}

fn table(shared: &SharedTable) -> String {
    format!("{}.{}", name(&shared.schema), name(&shared.name))
}

fn schema(wish: &Wish) -> Vec<String> {
    let schema = name(&wish.tenant);
    let owner = wish.role(Login::Owner);
    let mut statements = vec![
        // Whoever makes what is another's has to be a member of that, unless they are a superuser.
        format!("GRANT {owner} TO CURRENT_USER"),
        format!("CREATE SCHEMA {schema} AUTHORIZATION {owner}"),
    ];
    statements.extend(privileges(wish, &schema));
    statements.extend(search_path(wish, &schema));
    statements.push(format!("REVOKE {owner} FROM CURRENT_USER"));
    statements
}

/// What the tenant's logins may do with what its owner makes in a schema, and that nobody else may do anything.
fn privileges(wish: &Wish, schema: &str) -> Vec<String> {
    let group = name(&wish.tenant);
    let (app, read) = (wish.role(Login::App), wish.role(Login::Read));
    let default = format!(
        "ALTER DEFAULT PRIVILEGES FOR ROLE {}",
        wish.role(Login::Owner)
    );
    vec![
        format!("GRANT USAGE ON SCHEMA {schema} TO {group}"),
        format!("{default} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC"),
        format!("{default} REVOKE USAGE ON TYPES FROM PUBLIC"),
        format!(
            "{default} IN SCHEMA {schema} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {app}"
        ),
        format!("{default} IN SCHEMA {schema} GRANT SELECT ON TABLES TO {read}"),
        format!("{default} IN SCHEMA {schema} GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO {app}"),
        format!("{default} IN SCHEMA {schema} GRANT SELECT ON SEQUENCES TO {read}"),
        format!("{default} IN SCHEMA {schema} GRANT EXECUTE ON FUNCTIONS TO {group}"),
        format!("{default} IN SCHEMA {schema} GRANT USAGE ON TYPES TO {group}"),
    ]
}

/// For convenience: it keeps nobody in. What is temporary is found last, so that it stands before nothing.
fn search_path(wish: &Wish, schemas: &str) -> Vec<String> {
    let logins = wish.logins().into_iter();
    let logins = logins.filter(|it| *it != Login::Ledger);
    let set = |it| {
        format!(
            "ALTER ROLE {} SET search_path = {schemas}, pg_temp",
            wish.role(it)
        )
    };
    logins.map(set).collect()
}

/// Nobody gets in until PUBLIC may not. Of template0, since template1 may have anything in it.
fn create_database(wish: &Wish) -> String {
    format!(
        "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' ALLOW_CONNECTIONS false",
        name(&wish.database)
    )
}

fn hand_over(wish: &Wish) -> Vec<String> {
    let database = name(&wish.database);
    let owner = wish.role(Login::Owner);
    let mut statements = vec![
        format!("GRANT {owner} TO CURRENT_USER"),
        format!("ALTER DATABASE {database} OWNER TO {owner}"),
        format!("ALTER DATABASE {database} ALLOW_CONNECTIONS true"),
    ];
    statements.extend(search_path(wish, "public"));
    statements.push(format!("REVOKE {owner} FROM CURRENT_USER"));
    statements
}

/// What only somebody in the new database can do.
fn inside(wish: &Wish) -> Script {
    let owner = wish.role(Login::Owner);
    let mut statements = vec![
        format!("ALTER SCHEMA public OWNER TO {owner}"),
        "REVOKE ALL ON SCHEMA public FROM PUBLIC".to_owned(),
    ];
    statements.extend(privileges(wish, "public"));
    statements.push(check(&[of_public()]));
    Script {
        makes: format!(
            "what its logins may do in database {}",
            name(&wish.database)
        ),
        inside: Some(wish.database.clone()),
        probe: format!(
            "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = 'public' \
             AND pg_catalog.pg_get_userbyid(nspowner) = {}",
            text(&Login::Owner.role(&wish.tenant))
        ),
        statements: together(statements),
    }
}

/// A condition that must not be, and what to say of it.
type Fault = (String, String);

/// REVOKE by somebody who has not granted it is a warning and nothing more; so the server is asked what came of it.
fn checks(wish: &Wish) -> Vec<String> {
    let database = text(&wish.database);
    let mut faults = vec![(
        format!(
            "pg_catalog.has_database_privilege('public', {database}, 'CONNECT') \
             OR pg_catalog.has_database_privilege('public', {database}, 'TEMPORARY')"
        ),
        format!(
            "PUBLIC still gets into database {}: only its owner can change that",
            wish.database
        ),
    )];
    if !has_own_database(wish) {
        faults.push(of_public());
    }
    for shared in &wish.tables {
        faults.extend(of_table(wish, shared));
    }
    vec![check(&faults)]
}

fn of_public() -> Fault {
    (
        "pg_catalog.has_schema_privilege('public', 'public', 'CREATE') \
         OR pg_catalog.has_schema_privilege('public', 'public', 'USAGE')"
            .to_owned(),
        "PUBLIC still uses schema public: only its owner can change that".to_owned(),
    )
}

fn of_table(wish: &Wish, shared: &SharedTable) -> [Fault; 2] {
    let table = table(shared);
    let class = format!("{}::pg_catalog.regclass", text(&table));
    [
        (
            format!(
                "(SELECT pg_catalog.pg_get_userbyid(relowner) FROM pg_catalog.pg_class WHERE oid = {class}) <> {}",
                text(&wish.owner)
            ),
            format!("table {table} is not owned by {}", wish.owner),
        ),
        (
            // Policies add up: one for everybody would show everything.
            format!(
                "EXISTS (SELECT FROM pg_catalog.pg_policy, pg_catalog.unnest(polroles) AS held (role) \
                 WHERE polrelid = {class} AND polpermissive AND polname <> {own} \
                 AND (role = 0 OR pg_catalog.pg_has_role({app}, role, 'MEMBER')))",
                own = text(&wish.tenant),
                app = text(&Login::App.role(&wish.tenant)),
            ),
            format!("another policy of table {table} lets {} in", wish.tenant),
        ),
    ]
}

/// Fails, and with it its transaction, and says why: what is no truth value is named by the error.
fn check(faults: &[Fault]) -> String {
    let case = |(fault, says): &Fault| format!(" WHEN {fault} THEN {}", text(says));
    let cases = faults.iter().map(case).collect::<Vec<_>>().concat();
    format!("SELECT CAST(CASE{cases} ELSE 'true' END AS boolean) AS kept_apart")
}
