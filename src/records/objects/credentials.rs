//! Which keys a store is asked with, as users of each cloud's own tools expect: what the environment says, then the files
//! those tools share. Nothing is guessed: a machine's own role is asked for only where the environment names the way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use object_store::ClientConfigKey;
use object_store::aws::AmazonS3ConfigKey as Aws;
use object_store::azure::AzureConfigKey as Azure;
use object_store::gcp::GoogleConfigKey as Google;

use super::super::error::Problem;
use super::aws_files::{Profile, default_profile};
use super::url::is_loopback;

/// The environment, as far as stores are concerned.
#[derive(Default)]
pub(super) struct Environment {
    variables: BTreeMap<String, String>,
}

/// Prefixes of what is read of the environment.
const PREFIXES: [&str; 3] = ["AWS_", "GOOGLE_", "AZURE_"];

impl Environment {
    /// That of this process.
    pub(super) fn of_process() -> Self {
        let is_read = |name: &str| {
            PREFIXES.iter().any(|prefix| name.starts_with(prefix))
                || matches!(name, "HOME" | "USERPROFILE" | "SERVICE_ACCOUNT")
        };
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let variables = std::env::vars_os().filter_map(text);
        // An empty variable is none.
        // Files that are mounted as variables end in a newline.
        let variables = variables.map(|(name, value): (String, String)| (name, value.trim().to_owned()));
        let variables = variables.filter(|(name, value)| is_read(name) && !value.is_empty());
        Self { variables: variables.collect() }
    }

    /// Refuses what no request can carry.
    ///
    /// # Errors
    /// A variable with a control character in it, by its name.
    pub(super) fn check(&self) -> Result<(), Problem> {
        let is_odd = |(_, value): &(&String, &String)| value.chars().any(char::is_control);
        match self.variables.iter().find(is_odd) {
            Some((name, _)) => Err(Problem::Store {
                detail: format!("{name} has a line break or another control character in it"),
                hint: "set it to the value alone".to_owned(),
                may_pass: false,
            }),
            None => Ok(()),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Settings of one kind of store by their keys.
    fn options<K: std::str::FromStr>(&self, prefix: &str) -> Vec<(K, String)> {
        let of_kind = self.variables.iter().filter(|(name, _)| name.starts_with(prefix));
        of_kind
            .filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, value.clone())))
            .collect()
    }

    fn home(&self) -> Option<PathBuf> {
        self.get("HOME").or_else(|| self.get("USERPROFILE")).map(PathBuf::from)
    }

    /// The default profile of a file that `variable` names, or that lies at its place in the home folder.
    fn profile(&self, variable: &str, place: &str, read: &Reading<'_>) -> Profile {
        let path = self.get(variable).map(PathBuf::from).or_else(|| Some(self.home()?.join(place)));
        path.and_then(|path| read(&path)).map(|text| default_profile(&text)).unwrap_or_default()
    }
}

/// How files are read: their text, if they are there.
pub(super) type Reading<'a> = dyn Fn(&Path) -> Option<String> + 'a;

/// Settings of S3.
///
/// # Errors
/// No keys, half of them, keys that other programs have to be asked for, plain HTTP to another machine.
pub(super) fn aws_options(env: &Environment, read: &Reading<'_>) -> Result<Vec<(Aws, String)>, Problem> {
    let mut options: Vec<(Aws, String)> = env.options("AWS_");
    let credentials = env.profile("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", read);
    let config = env.profile("AWS_CONFIG_FILE", ".aws/config", read);
    let other_profile = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"].into_iter().find_map(|name| env.get(name));
    let other_profile = other_profile.filter(|name| *name != "default");
    let has = |options: &[(Aws, String)], key: Aws| options.iter().any(|(found, _)| *found == key);
    let is_anonymous = options.iter().any(|(key, value)| *key == Aws::SkipSignature && is_true(value));
    let (has_id, has_secret) = (has(&options, Aws::AccessKeyId), has(&options, Aws::SecretAccessKey));
    if has_id != has_secret {
        return Err(refused(
            "half of a key: one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is not set",
            "set both",
        ));
    }
    let has_role = has(&options, Aws::WebIdentityTokenFile) && has(&options, Aws::RoleArn)
        || has(&options, Aws::ContainerCredentialsRelativeUri)
        || has(&options, Aws::ContainerCredentialsFullUri)
        || has(&options, Aws::MetadataEndpoint);
    if !has_id && !is_anonymous {
        if let Some(name) = other_profile {
            return Err(profile_refused(name));
        }
        let of_file = [&credentials, &config].into_iter().find(|file| file.contains_key("aws_access_key_id"));
        if let Some(file) = of_file.filter(|_| !has_role) {
            let Some(secret) = file.get("aws_secret_access_key") else {
                return Err(refused(
                    "half of a key: the shared file has no aws_secret_access_key",
                    "aws configure writes both",
                ));
            };
            options.push((Aws::AccessKeyId, file["aws_access_key_id"].clone()));
            options.push((Aws::SecretAccessKey, secret.clone()));
            options.extend(file.get("aws_session_token").map(|token| (Aws::Token, token.clone())));
        } else if !has_role {
            let by_program = ["sso_session", "sso_start_url", "role_arn", "credential_process"];
            if by_program.iter().any(|key| config.contains_key(*key) || credentials.contains_key(*key)) {
                return Err(profile_refused("default"));
            }
            return Err(refused(
                "no keys for S3",
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (aws configure keeps them); AWS_SKIP_SIGNATURE=true \
                 reads what is public; AWS_METADATA_ENDPOINT=http://169.254.169.254 takes the role of the machine",
            ));
        }
    }
    let is_of_other = other_profile.is_some();
    if !has(&options, Aws::Region) && !has(&options, Aws::DefaultRegion) && !is_of_other {
        options.extend(config.get("region").map(|region| (Aws::Region, region.clone())));
    }
    if !has(&options, Aws::Endpoint) && !has(&options, Aws::S3Endpoint) && !is_of_other {
        options.extend(config.get("endpoint_url").map(|url| (Aws::Endpoint, url.clone())));
    }
    let endpoint = |key: Aws| options.iter().find(|(found, _)| *found == key).map(|(_, url)| url.clone());
    let allow_http = Aws::Client(ClientConfigKey::AllowHttp);
    let endpoint = endpoint(Aws::S3Endpoint).or_else(|| endpoint(Aws::Endpoint)).unwrap_or_default();
    if !endpoint.is_empty() && !["http://", "https://"].iter().any(|scheme| endpoint.starts_with(scheme)) {
        return Err(refused(
            "the endpoint of S3 is no URL of http:// or https://",
            "for instance AWS_ENDPOINT_URL=http://127.0.0.1:9000",
        ));
    }
    if let Some(host) = endpoint.strip_prefix("http://")
        && !options.iter().any(|(key, value)| *key == allow_http && is_true(value))
    {
        if !is_loopback(host.split('/').next().unwrap_or_default()) {
            return Err(refused(
                "the endpoint of S3 is plain HTTP, which anybody on the way may read",
                "an endpoint of https://, or AWS_ALLOW_HTTP=true in a network that is trusted",
            ));
        }
        options.push((allow_http, "true".to_owned()));
    }
    Ok(options)
}

/// Settings of Google's store.
///
/// # Errors
/// No keys.
pub(super) fn google_options(
    env: &Environment,
    read: &Reading<'_>,
) -> Result<Vec<(Google, String)>, Problem> {
    let mut options: Vec<(Google, String)> = env.options("GOOGLE_");
    options.extend(env.get("SERVICE_ACCOUNT").map(|path| (Google::ServiceAccount, path.to_owned())));
    let is_key = |(key, value): &(Google, String)| match key {
        Google::ServiceAccount | Google::ServiceAccountKey | Google::ApplicationCredentials => true,
        Google::SkipSignature => is_true(value),
        _ => false,
    };
    let by_default = env.home().map(|home| home.join(".config/gcloud/application_default_credentials.json"));
    if options.iter().any(is_key) || by_default.is_some_and(|path| read(&path).is_some()) {
        return Ok(options);
    }
    Err(refused(
        "no keys for Google's store",
        "set GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT to a key's file (gcloud auth application-default \
         login writes one); GOOGLE_SKIP_SIGNATURE=true reads what is public",
    ))
}

/// Settings of Azure's store.
///
/// # Errors
/// No account, no keys.
pub(super) fn azure_options(env: &Environment) -> Result<Vec<(Azure, String)>, Problem> {
    let options: Vec<(Azure, String)> = env.options("AZURE_");
    let has = |wanted: &[Azure]| options.iter().any(|(key, _)| wanted.contains(key));
    let is_on = |wanted: &Azure| options.iter().any(|(key, value)| key == wanted && is_true(value));
    let is_emulated = is_on(&Azure::UseEmulator);
    if !is_emulated && !has(&[Azure::AccountName]) {
        return Err(refused("no account for Azure's store", "set AZURE_STORAGE_ACCOUNT_NAME"));
    }
    let keys =
        [Azure::AccessKey, Azure::SasKey, Azure::Token, Azure::ClientSecret, Azure::FederatedTokenFile];
    let by_program = [Azure::MsiEndpoint, Azure::FabricTokenServiceUrl];
    let is_open = is_on(&Azure::SkipSignature) || is_on(&Azure::UseAzureCli);
    if is_emulated || is_open || has(&keys) || has(&by_program) {
        return Ok(options);
    }
    Err(refused(
        "no keys for Azure's store",
        "set AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_KEY or AZURE_STORAGE_CLIENT_ID, _CLIENT_SECRET and \
         _TENANT_ID; AZURE_SKIP_SIGNATURE=true reads what is public",
    ))
}

fn is_true(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on" | "y" | "t")
}

/// Profiles may need a browser, another account or a program: the tool that knows how hands out what it has found.
fn profile_refused(name: &str) -> Problem {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    let name = if name.chars().all(is_plain) { name } else { "NAME" };
    Problem::Store {
        detail: format!("the keys of the profile {name} are for Amazon's own tools to find"),
        hint: format!("eval \"$(aws configure export-credentials --profile {name} --format env)\""),
        may_pass: false,
    }
}

fn refused(detail: &str, hint: &str) -> Problem {
    Problem::Store { detail: detail.to_owned(), hint: hint.to_owned(), may_pass: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(variables: &[(&str, &str)]) -> Environment {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Environment { variables: variables.iter().map(owned).collect() }
    }

    fn nothing(_: &Path) -> Option<String> {
        None
    }

    /// What is said, and what to do.
    fn told(problem: Problem) -> (String, String) {
        match problem {
            Problem::Store { detail, hint, may_pass: false } => (detail, hint),
            other => panic!("{other}"),
        }
    }

    fn value(options: &[(Aws, String)], key: Aws) -> Option<&str> {
        options.iter().rev().find(|(found, _)| *found == key).map(|(_, value)| value.as_str())
    }

    #[test]
    fn cloud_keys_come_from_the_environment_before_files() {
        let files = |path: &Path| {
            path.ends_with("credentials")
                .then(|| "[default]\naws_access_key_id=F\naws_secret_access_key=G\n".to_owned())
                .or_else(|| path.ends_with("config").then(|| "[default]\nregion=eu-1\n".to_owned()))
        };
        let of_file = aws_options(&env(&[("HOME", "/h")]), &files).expect("keys");
        assert_eq!(value(&of_file, Aws::AccessKeyId), Some("F"));
        assert_eq!(value(&of_file, Aws::Region), Some("eu-1"));
        let both = [("HOME", "/h"), ("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", "B")];
        let of_env = aws_options(&env(&both), &files).expect("keys");
        assert_eq!(value(&of_env, Aws::AccessKeyId), Some("A"));
        // Another file than the one at home.
        let elsewhere =
            |path: &Path| (path == Path::new("/x")).then(|| files(Path::new("credentials")).expect("text"));
        let named = [("AWS_SHARED_CREDENTIALS_FILE", "/x")];
        let found = aws_options(&env(&named), &elsewhere).expect("keys");
        assert_eq!(value(&found, Aws::SecretAccessKey), Some("G"));
    }

    #[test]
    fn cloud_profiles_are_refused_with_the_command_that_exports_them() {
        let (_, hint) = told(aws_options(&env(&[("AWS_PROFILE", "lab")]), &nothing).expect_err("refused"));
        assert_eq!(hint, "eval \"$(aws configure export-credentials --profile lab --format env)\"");
        let (_, hint) =
            told(aws_options(&env(&[("AWS_PROFILE", "a'; rm x")]), &nothing).expect_err("refused"));
        assert!(hint.contains("--profile NAME "), "{hint}");
        let keys = [("AWS_PROFILE", "lab"), ("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", "B")];
        assert!(aws_options(&env(&keys), &nothing).is_ok());
        let sso = |_: &Path| Some("[default]\nsso_session = x\n".to_owned());
        let (_, hint) = told(aws_options(&env(&[("HOME", "/h")]), &sso).expect_err("refused"));
        assert!(hint.contains("--profile default "), "{hint}");
    }

    #[test]
    fn cloud_stores_without_keys_are_not_asked() {
        let (detail, hint) = told(aws_options(&env(&[]), &nothing).expect_err("refused"));
        assert!(detail.contains("no keys") && hint.contains("AWS_SKIP_SIGNATURE=true"), "{detail}: {hint}");
        assert!(aws_options(&env(&[("AWS_ACCESS_KEY_ID", "A")]), &nothing).is_err());
        assert!(aws_options(&env(&[("AWS_SKIP_SIGNATURE", "true")]), &nothing).is_ok());
        assert!(google_options(&env(&[]), &nothing).is_err());
        assert!(google_options(&env(&[("GOOGLE_SERVICE_ACCOUNT", "/k.json")]), &nothing).is_ok());
        assert!(google_options(&env(&[("HOME", "/h")]), &|_| Some("{}".to_owned())).is_ok());
        assert!(azure_options(&env(&[("AZURE_STORAGE_ACCOUNT_NAME", "a")])).is_err());
        assert!(azure_options(&env(&[("AZURE_STORAGE_ACCOUNT_KEY", "a")])).is_err());
        let both = [("AZURE_STORAGE_ACCOUNT_NAME", "a"), ("AZURE_STORAGE_ACCOUNT_KEY", "k")];
        assert!(azure_options(&env(&both)).is_ok());
    }

    #[test]
    fn cloud_endpoints_of_plain_http_are_this_machine_or_asked_for() {
        let with = |url: &str, allowed: &str| {
            aws_options(
                &env(&[
                    ("AWS_SKIP_SIGNATURE", "true"),
                    ("AWS_ENDPOINT_URL", url),
                    ("AWS_ALLOW_HTTP", allowed),
                ]),
                &nothing,
            )
        };
        let allow_http = Aws::Client(ClientConfigKey::AllowHttp);
        let here = with("http://127.0.0.1:5000", "false").expect("allowed");
        assert_eq!(value(&here, allow_http), Some("true"));
        assert!(with("http://10.0.0.1:5000", "false").is_err());
        assert!(with("http://10.0.0.1:5000", "true").is_ok());
        assert!(with("https://minio.example", "false").is_ok());
    }
}
