# Shared by the scripts of deploy/: messages, the cache folder, running as root. Sourced, never run.

readonly PARITY_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly PARITY_CACHE=${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/parity

say() { printf '\033[1m==>\033[0m %s\n' "$*" | if [[ -t 2 && -z ${NO_COLOR:-} ]]; then cat; else sed 's/\x1b\[[0-9;]*m//g'; fi >&2; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# Runs a command as root: directly, or through sudo.
as_root() {
  if [[ $(id -u) -eq 0 ]]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "needs root to run '$1', and there is no sudo: run this script as root"
  fi
}

# Runs a long command with its output in a log; a line every ten seconds says that it goes on, and where it is.
# usage: with_progress TITLE LOG COMMAND...
with_progress() {
  local title=$1 log=$2 started=$SECONDS pid
  shift 2
  say "$title (log: $log)"
  "$@" >"$log" 2>&1 &
  pid=$!
  local next=$((SECONDS + 10))
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    if ((SECONDS >= next)); then
      next=$((SECONDS + 10))
      printf '    %4d s  %s\n' "$((SECONDS - started))" "$(tail -n 1 "$log" | tr -d '\r' | cut -c1-100)" >&2
    fi
  done
  if ! wait "$pid"; then
    tail -n 30 "$log" >&2
    die "$title failed; the whole log is in $log"
  fi
}
