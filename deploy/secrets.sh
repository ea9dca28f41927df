#!/bin/sh
# Makes deploy/secrets for compose.yaml: random passwords, and the address of your database. Keeps what is there.
#   deploy/secrets.sh 'postgresql://authenticator:…@db.example:5432/postgres'
set -eu
umask 077
cd "$(dirname "$0")"
[ -e secrets/target_url ] || [ $# -eq 1 ] || { echo "usage: $0 postgresql://user:password@host:5432/database" >&2; exit 2; }
mkdir -p secrets

random() { head -c 36 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'; }
# Only this directory keeps others out: in the container the file belongs to whoever made it, and is read by another user.
keep() { [ -e "secrets/$1" ] || { printf '%s\n' "$2" > "secrets/$1"; chmod 444 "secrets/$1"; echo "made deploy/secrets/$1"; }; }

keep secret_key "$(random)"
keep postgres_password "$(random)"
keep control_url "postgresql://mendgate:$(cat secrets/postgres_password)@postgres:5432/mendgate"
keep valkey_password "$(random)"
keep valkey_url "redis://:$(cat secrets/valkey_password)@valkey:6379/0"
keep valkey_conf "requirepass $(cat secrets/valkey_password)
maxmemory 256mb
maxmemory-policy noeviction
save \"\"
appendonly no"
keep target_url "${1:-}"
echo "Keep a copy of deploy/secrets/secret_key elsewhere: without it nobody reads what waits in quarantine."
