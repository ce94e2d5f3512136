//! The classes of statements that are no query: one table from the kind of statement to its class. It never looks into what
//! they hold; whatever it does not name stays opaque.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterSubscriptionType, AlterTableType, DiscardMode, DropStmt, Node, ObjectType,
    ReindexObjectType, ReindexStmt, TransactionStmt, TransactionStmtKind,
};

use crate::look::Manner;
use crate::plain::string;
use crate::{Class, Relation};

/// What a kind of statement is, by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Utility {
    pub(crate) class: Class,
    /// What it does, as a phrase that relations may follow.
    pub(crate) why: &'static str,
    /// How the expressions in it count.
    pub(crate) manner: Manner,
}

/// What this statement is; none if it is on no list.
pub(crate) fn utility(statement: &NodeEnum) -> Option<Utility> {
    let (class, why) = ddl(statement)
        .map(|why| (Class::Ddl, why))
        .or_else(|| by_object(statement))
        .or_else(|| admin(statement).map(|why| (Class::Admin, why)))
        .or_else(|| upkeep(statement))?;
    let manner = match statement {
        NodeEnum::ViewStmt(_)
        | NodeEnum::CreateFunctionStmt(_)
        | NodeEnum::RuleStmt(_)
        | NodeEnum::CreatePolicyStmt(_)
        | NodeEnum::AlterPolicyStmt(_)
        | NodeEnum::CreateTrigStmt(_) => Manner::Stores,
        _ => Manner::Runs,
    };
    Some(Utility { class, why, manner })
}

fn ddl(statement: &NodeEnum) -> Option<&'static str> {
    Some(match statement {
        NodeEnum::CreateStmt(_) => "creates a table",
        NodeEnum::AlterTableStmt(_) => "alters a relation",
        NodeEnum::ViewStmt(_) => "creates a view",
        NodeEnum::IndexStmt(_) => "creates an index",
        NodeEnum::CreateSeqStmt(_) => "creates a sequence",
        NodeEnum::AlterSeqStmt(_) => "alters a sequence",
        NodeEnum::CreateSchemaStmt(_) => "creates a schema",
        NodeEnum::CreateFunctionStmt(_) => "creates a function",
        NodeEnum::AlterFunctionStmt(_) => "alters a function",
        NodeEnum::CreateTrigStmt(_) => "creates a trigger",
        NodeEnum::RuleStmt(_) => "creates a rule",
        NodeEnum::CreatePolicyStmt(_) => "creates a policy",
        NodeEnum::AlterPolicyStmt(_) => "alters a policy",
        NodeEnum::CreateDomainStmt(_) => "creates a domain",
        NodeEnum::AlterDomainStmt(_) => "alters a domain",
        NodeEnum::CompositeTypeStmt(_)
        | NodeEnum::CreateEnumStmt(_)
        | NodeEnum::CreateRangeStmt(_) => "creates a type",
        NodeEnum::AlterEnumStmt(_) | NodeEnum::AlterTypeStmt(_) => "alters a type",
        NodeEnum::DefineStmt(_) => "creates an aggregate, operator, type or the like",
        NodeEnum::CreateOpClassStmt(_) | NodeEnum::CreateOpFamilyStmt(_) => {
            "creates an operator class or family"
        }
        NodeEnum::AlterOpFamilyStmt(_) | NodeEnum::AlterOperatorStmt(_) => {
            "alters an operator or its family"
        }
        NodeEnum::CreateCastStmt(_) => "creates a cast",
        NodeEnum::CreateConversionStmt(_) => "creates a conversion",
        NodeEnum::CreateTransformStmt(_) => "creates a transform",
        NodeEnum::AlterCollationStmt(_) => "alters a collation",
        NodeEnum::AlterTsdictionaryStmt(_) | NodeEnum::AlterTsconfigurationStmt(_) => {
            "alters text search"
        }
        NodeEnum::CreateStatsStmt(_) | NodeEnum::AlterStatsStmt(_) => "changes extended statistics",
        NodeEnum::AlterObjectDependsStmt(_) => "changes what an object depends on",
        NodeEnum::GrantStmt(grant) if grant.is_grant => "grants privileges",
        NodeEnum::GrantStmt(_) => "revokes privileges",
        NodeEnum::AlterDefaultPrivilegesStmt(_) => "alters default privileges",
        _ => return None,
    })
}

/// Statements on an object of any type: on some types they are administration.
fn by_object(statement: &NodeEnum) -> Option<(Class, &'static str)> {
    use ObjectType as Object;

    let (object, why) = match statement {
        NodeEnum::DropStmt(it) => (it.remove_type, "drops"),
        NodeEnum::RenameStmt(it) => (it.rename_type, "renames"),
        NodeEnum::AlterOwnerStmt(it) => (it.object_type, "changes the owner of"),
        NodeEnum::AlterObjectSchemaStmt(it) => (it.object_type, "moves to another schema"),
        NodeEnum::CommentStmt(it) => (it.objtype, "comments on"),
        _ => return None,
    };
    let class = match Object::try_from(object) {
        Ok(Object::Undefined) | Err(_) => return None,
        Ok(
            Object::ObjectAccessMethod
            | Object::ObjectDatabase
            | Object::ObjectEventTrigger
            | Object::ObjectExtension
            | Object::ObjectFdw
            | Object::ObjectForeignServer
            | Object::ObjectForeignTable
            | Object::ObjectLanguage
            | Object::ObjectLargeobject
            | Object::ObjectParameterAcl
            | Object::ObjectPublication
            | Object::ObjectPublicationNamespace
            | Object::ObjectPublicationRel
            | Object::ObjectRole
            | Object::ObjectSubscription
            | Object::ObjectTablespace
            | Object::ObjectUserMapping,
        ) => Class::Admin,
        Ok(_) => Class::Ddl,
    };
    Some((class, why))
}

fn admin(statement: &NodeEnum) -> Option<&'static str> {
    Some(match statement {
        NodeEnum::CreateRoleStmt(_) => "creates a role",
        NodeEnum::AlterRoleStmt(_) | NodeEnum::AlterRoleSetStmt(_) => "alters a role",
        NodeEnum::DropRoleStmt(_) => "drops a role",
        NodeEnum::GrantRoleStmt(_) => "changes who is a member of a role",
        NodeEnum::DropOwnedStmt(_) => "drops what a role owns",
        NodeEnum::ReassignOwnedStmt(_) => "reassigns what a role owns",
        NodeEnum::CreatedbStmt(_) => "creates a database",
        NodeEnum::DropdbStmt(_) => "drops a database",
        NodeEnum::AlterDatabaseStmt(_)
        | NodeEnum::AlterDatabaseSetStmt(_)
        | NodeEnum::AlterDatabaseRefreshCollStmt(_) => "alters a database",
        NodeEnum::CreateTableSpaceStmt(_)
        | NodeEnum::DropTableSpaceStmt(_)
        | NodeEnum::AlterTableSpaceOptionsStmt(_)
        | NodeEnum::AlterTableMoveAllStmt(_) => "changes tablespaces",
        NodeEnum::CreateExtensionStmt(_)
        | NodeEnum::AlterExtensionStmt(_)
        | NodeEnum::AlterExtensionContentsStmt(_) => "changes extensions",
        NodeEnum::CreateFdwStmt(_)
        | NodeEnum::AlterFdwStmt(_)
        | NodeEnum::CreateForeignServerStmt(_)
        | NodeEnum::AlterForeignServerStmt(_)
        | NodeEnum::CreateForeignTableStmt(_)
        | NodeEnum::CreateUserMappingStmt(_)
        | NodeEnum::AlterUserMappingStmt(_)
        | NodeEnum::DropUserMappingStmt(_)
        | NodeEnum::ImportForeignSchemaStmt(_) => "changes foreign data",
        NodeEnum::CreateSubscriptionStmt(_)
        | NodeEnum::AlterSubscriptionStmt(_)
        | NodeEnum::DropSubscriptionStmt(_) => "changes subscriptions",
        NodeEnum::CreatePublicationStmt(_) | NodeEnum::AlterPublicationStmt(_) => {
            "changes publications"
        }
        NodeEnum::CreateEventTrigStmt(_) | NodeEnum::AlterEventTrigStmt(_) => {
            "changes event triggers"
        }
        NodeEnum::CreateAmStmt(_) => "creates an access method",
        NodeEnum::CreatePlangStmt(_) => "creates a language",
        NodeEnum::SecLabelStmt(_) => "sets a security label",
        NodeEnum::AlterSystemStmt(_) => "alters the server's settings",
        NodeEnum::CheckPointStmt(_) => "forces a checkpoint",
        NodeEnum::LoadStmt(_) => "loads a library",
        _ => return None,
    })
}

/// Maintenance, what is a write without being a query, and what is about the session alone.
fn upkeep(statement: &NodeEnum) -> Option<(Class, &'static str)> {
    Some(match statement {
        NodeEnum::VacuumStmt(it) if it.is_vacuumcmd => (Class::Maintenance, "vacuums"),
        NodeEnum::VacuumStmt(_) => (Class::Maintenance, "analyzes"),
        NodeEnum::ReindexStmt(_) => (Class::Maintenance, "rebuilds indexes"),
        NodeEnum::ClusterStmt(_) => (Class::Maintenance, "clusters"),
        NodeEnum::RefreshMatViewStmt(_) => (Class::Maintenance, "refreshes a materialized view"),
        NodeEnum::TruncateStmt(_) => (Class::Write, "truncates"),
        NodeEnum::LockStmt(_) => (Class::Write, "locks"),
        NodeEnum::NotifyStmt(_) => (Class::Write, "notifies others"),
        NodeEnum::DiscardStmt(_) => (Class::Session, "discards session state"),
        NodeEnum::ListenStmt(_) => (Class::Session, "listens"),
        NodeEnum::UnlistenStmt(_) => (Class::Session, "stops listening"),
        // IMMEDIATE runs the deferred triggers now.
        NodeEnum::ConstraintsSetStmt(_) => (Class::Write, "sets when constraints are checked"),
        _ => return None,
    })
}

/// Whether the statement cannot sit in a transaction block (R86). CLUSTER and REINDEX of a partitioned table cannot either,
/// which only the catalog knows.
pub(crate) fn outside_transaction(statement: &NodeEnum) -> bool {
    match statement {
        NodeEnum::VacuumStmt(it) => it.is_vacuumcmd,
        NodeEnum::CreatedbStmt(_)
        | NodeEnum::DropdbStmt(_)
        | NodeEnum::CreateTableSpaceStmt(_)
        | NodeEnum::DropTableSpaceStmt(_)
        | NodeEnum::AlterSystemStmt(_)
        | NodeEnum::CreateSubscriptionStmt(_)
        | NodeEnum::DropSubscriptionStmt(_) => true,
        NodeEnum::AlterSubscriptionStmt(it) => !matches!(
            AlterSubscriptionType::try_from(it.kind),
            Ok(AlterSubscriptionType::AlterSubscriptionConnection
                | AlterSubscriptionType::AlterSubscriptionSkip)
        ),
        NodeEnum::AlterDatabaseStmt(it) => it
            .options
            .iter()
            .any(|option| is_option(option, "tablespace")),
        NodeEnum::IndexStmt(it) => it.concurrent,
        NodeEnum::DropStmt(it) => it.concurrent,
        NodeEnum::ReindexStmt(it) => reindex_outside(it),
        NodeEnum::ClusterStmt(it) => it.relation.is_none(),
        NodeEnum::DiscardStmt(it) => {
            DiscardMode::try_from(it.target) == Ok(DiscardMode::DiscardAll)
        }
        NodeEnum::TransactionStmt(it) => matches!(
            TransactionStmtKind::try_from(it.kind),
            Ok(TransactionStmtKind::TransStmtCommitPrepared
                | TransactionStmtKind::TransStmtRollbackPrepared)
        ),
        NodeEnum::AlterTableStmt(it) => it.cmds.iter().any(detaches_concurrently),
        _ => false,
    }
}

/// Whether it is the end of a transaction; one that has failed it rolls back, whatever it says.
pub(crate) fn ends_transaction(statement: &TransactionStmt) -> bool {
    matches!(
        TransactionStmtKind::try_from(statement.kind),
        Ok(TransactionStmtKind::TransStmtCommit
            | TransactionStmtKind::TransStmtRollback
            | TransactionStmtKind::TransStmtPrepare)
    )
}

fn reindex_outside(statement: &ReindexStmt) -> bool {
    let whole = !matches!(
        ReindexObjectType::try_from(statement.kind),
        Ok(ReindexObjectType::ReindexObjectIndex | ReindexObjectType::ReindexObjectTable)
    );
    whole
        || statement
            .params
            .iter()
            .any(|option| is_option(option, "concurrently"))
}

fn detaches_concurrently(command: &Node) -> bool {
    let Some(NodeEnum::AlterTableCmd(command)) = &command.node else {
        return false;
    };
    AlterTableType::try_from(command.subtype) == Ok(AlterTableType::AtDetachPartition)
        && matches!(
            command.def.as_ref().and_then(|def| def.node.as_ref()),
            Some(NodeEnum::PartitionCmd(partition)) if partition.concurrent
        )
}

fn is_option(option: &Node, name: &str) -> bool {
    matches!(&option.node, Some(NodeEnum::DefElem(option)) if option.defname == name)
}

/// The relations a DROP names: they stand in it as lists of strings. Of a trigger, rule or policy it is the table's name.
pub(crate) fn dropped(statement: &DropStmt) -> Vec<Relation> {
    let part_of_table = match ObjectType::try_from(statement.remove_type) {
        Ok(
            ObjectType::ObjectTable
            | ObjectType::ObjectView
            | ObjectType::ObjectMatview
            | ObjectType::ObjectSequence
            | ObjectType::ObjectIndex
            | ObjectType::ObjectForeignTable,
        ) => false,
        Ok(ObjectType::ObjectTrigger | ObjectType::ObjectRule | ObjectType::ObjectPolicy) => true,
        _ => return Vec::new(),
    };
    let named = |object: &Node| {
        let Some(NodeEnum::List(list)) = &object.node else {
            return None;
        };
        let mut parts: Vec<String> = list
            .items
            .iter()
            .filter_map(string)
            .map(str::to_owned)
            .collect();
        if part_of_table {
            parts.pop();
        }
        let name = parts.pop()?;
        Some(Relation {
            schema: parts.pop(),
            name,
        })
    };
    statement.objects.iter().filter_map(named).collect()
}
