//! What `deploy/kubernetes` shows: jobs that can be read, run as nobody in particular, write nowhere, know no credential of each
//! other's, and come one after the other.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use clap::Parser;
use portcullis::cli::args::{Cli, Command};
use portcullis::cli::tenant_args::TenantCommand;
use yaml_rust2::{Yaml, YamlLoader};

#[track_caller]
fn job(name: &str) -> Yaml {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kubernetes");
    let text = fs::read_to_string(folder.join(name)).unwrap();
    let mut documents = YamlLoader::load_from_str(&text).unwrap();
    assert_eq!(documents.len(), 1, "{name}");
    let job = documents.remove(0);
    assert_eq!(job["apiVersion"].as_str(), Some("batch/v1"), "{name}");
    assert_eq!(job["kind"].as_str(), Some("Job"), "{name}");
    job
}

fn pod(job: &Yaml) -> &Yaml {
    &job["spec"]["template"]["spec"]
}

fn items(list: &Yaml) -> &[Yaml] {
    list.as_vec().map_or(&[], Vec::as_slice)
}

/// The Secrets that it may read: in its environment, and as files.
fn secrets(job: &Yaml) -> BTreeSet<&str> {
    let pod = pod(job);
    let volumes = items(&pod["volumes"]).iter();
    let volumes = volumes.filter_map(|it| it["secret"]["secretName"].as_str());
    let containers = items(&pod["containers"]).iter();
    let variables = containers.flat_map(|it| items(&it["env"]));
    let variables = variables.filter_map(|it| it["valueFrom"]["secretKeyRef"]["name"].as_str());
    volumes.chain(variables).collect()
}

#[test]
fn each_job_runs_as_nobody_and_writes_nowhere() {
    for name in ["tenant-create.yaml", "tenant-migrate.yaml"] {
        let job = job(name);
        let pod = pod(&job);
        assert_eq!(
            pod["securityContext"]["runAsNonRoot"].as_bool(),
            Some(true),
            "{name}"
        );
        assert_eq!(
            pod["automountServiceAccountToken"].as_bool(),
            Some(false),
            "{name}"
        );
        assert_eq!(pod["restartPolicy"].as_str(), Some("Never"), "{name}");
        assert!(
            job["spec"]["activeDeadlineSeconds"].as_i64() > Some(0),
            "{name}"
        );
        let containers = items(&pod["containers"]);
        assert_eq!(containers.len(), 1, "{name}");
        let context = &containers[0]["securityContext"];
        assert_eq!(
            context["readOnlyRootFilesystem"].as_bool(),
            Some(true),
            "{name}"
        );
        assert_eq!(
            context["allowPrivilegeEscalation"].as_bool(),
            Some(false),
            "{name}"
        );
        assert_eq!(
            items(&context["capabilities"]["drop"])[0].as_str(),
            Some("ALL"),
            "{name}"
        );
        let mounts = items(&containers[0]["volumeMounts"]);
        assert!(
            mounts
                .iter()
                .all(|it| it["readOnly"].as_bool() == Some(true)),
            "{name}"
        );
    }
}

#[test]
fn no_job_has_the_credentials_of_another() {
    let (create, migrate) = (job("tenant-create.yaml"), job("tenant-migrate.yaml"));
    let (create, migrate) = (secrets(&create), secrets(&migrate));
    assert_eq!(
        create,
        BTreeSet::from(["acme-logins", "portcullis-platform"])
    );
    assert_eq!(migrate, BTreeSet::from(["acme-migrations"]));
    // The application's is neither.
    assert!(create.union(&migrate).all(|it| *it != "acme-app"));
}

#[test]
fn the_tenant_is_there_before_its_migrations_and_these_before_the_application() {
    let waves = ["tenant-create.yaml", "tenant-migrate.yaml"].map(|name| {
        let job = job(name);
        let annotations = &job["metadata"]["annotations"];
        let said = |key: &str| annotations[format!("argocd.argoproj.io/{key}").as_str()].clone();
        assert_eq!(said("hook").as_str(), Some("PreSync"), "{name}");
        assert_eq!(
            said("hook-delete-policy").as_str(),
            Some("BeforeHookCreation"),
            "{name}"
        );
        // Kubernetes takes texts alone for annotations.
        said("sync-wave").as_str().unwrap().parse::<i32>().unwrap()
    });
    assert!(waves[0] < waves[1] && waves[1] < 0, "{waves:?}");
}

#[test]
fn the_command_of_the_first_job_is_one_that_there_is() {
    let job = job("tenant-create.yaml");
    let container = &items(&pod(&job)["containers"])[0];
    let words = items(&container["command"])
        .iter()
        .chain(items(&container["args"]));
    let words: Vec<&str> = words.map(|it| it.as_str().unwrap()).collect();
    match Cli::try_parse_from(words).map(|it| it.command) {
        Ok(Command::Tenant(TenantCommand::New(args))) => {
            assert!(args.apply && args.if_missing);
            let folder = args.passwords.unwrap();
            let mounts = items(&container["volumeMounts"]).iter();
            let mut paths = mounts.filter_map(|it| it["mountPath"].as_str());
            assert!(paths.any(|it| Path::new(it) == folder));
        }
        other => panic!("{other:?}"),
    }
}
