#!/usr/bin/env bash
# Puts Nightschool's systemd user units where your systemd looks for them, with the folders of this installation in them.
#
# usage    cron/systemd/install.sh          then enable what you want; it says how
# home     NIGHTSCHOOL_HOME, else the folder of this checkout; program: NIGHTSCHOOL, else .venv/bin/nightschool
# writes   ~/.config/systemd/user/nightschool-*; starts nothing
# ends     0 done   64 a folder that a unit cannot name   78 no program
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
code=$(cd "$here/../.." && pwd)
home="${NIGHTSCHOOL_HOME:-$code}"
program="${NIGHTSCHOOL:-$code/.venv/bin/nightschool}"
units="${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user"

[ -x "$program" ] || { echo "error: no program $program" >&2; echo "hint: \`make night\` installs it, or name it in NIGHTSCHOOL" >&2; exit 78; }
for path in "$code" "$home" "$program"; do
    case $path in
        *[!A-Za-z0-9/._+-]* | [!/]*)
            echo "error: $path cannot be named in a unit" >&2
            echo "hint: an absolute path of letters, digits and . _ + -" >&2
            exit 64
            ;;
    esac
done

mkdir -p "$units"
for unit in "$here"/nightschool-*.{service,timer}; do
    name=$(basename "$unit")
    sed -e "s|@HOME@|$home|g" -e "s|@CODE@|$code|g" -e "s|@PROGRAM@|$program|g" "$unit" >"$units/.$name"
    mv "$units/.$name" "$units/$name"
done

# From version 254 on systemd itself waits longer after each restart; earlier ones would complain of these lines.
version=$(systemctl --version 2>/dev/null | awk 'NR == 1 { print int($2) }')
if [ "${version:-0}" -ge 254 ]; then
    for name in gateway service dashboard; do
        mkdir -p "$units/nightschool-$name.service.d"
        printf '[Service]\nRestartSteps=8\nRestartMaxDelaySec=10min\n' >"$units/nightschool-$name.service.d/backoff.conf"
    done
fi

systemctl --user daemon-reload 2>/dev/null || echo "no systemd of this user is running here; it reads the units when it starts"
cat <<END
in $units: $(cd "$units" && echo nightschool-*.service nightschool-*.timer)

by the clock:     systemctl --user enable --now nightschool-gateway.service nightschool-{index,night,validate}.timer
by new failures:  systemctl --user enable --now nightschool-gateway.service nightschool-service.service
also when nobody is logged in:  loginctl enable-linger
END
