# Sourced by quickstart and check, from the top of the checkout: installs the packages that are missing
# and makes, below one directory, everything else: a private copy of PostgreSQL, a copy of the sources,
# the build, a server.  No existing cluster, no system directory and no file of the checkout is touched.

# The caller's own server is none of our business.
for name in "${!PG@}"; do [ "$name" = PG_MAJOR ] || unset "$name"; done

say() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# Runs a command as root.
as_root()
{
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Runs a command as the user that owns the server: PostgreSQL refuses to run as root.
server_user()
{
	if [ "$(id -u)" != 0 ]; then id -un; elif id postgres >/dev/null 2>&1; then echo postgres; else echo nobody; fi
}
as_server()
{
	if [ "$(id -u)" = 0 ]; then runuser -u "$(server_user)" -- "$@"; else "$@"; fi
}

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# Sets PG_MAJOR, unless given, to the newest server installed, else to the release's own.
find_server()
{
	[ -z "${PG_MAJOR:-}" ] || return 0
	PG_MAJOR=$(ls -d /usr/lib/postgresql/*/bin/postgres 2>/dev/null | cut -d/ -f5 | sort -n | tail -1)
	[ -z "$PG_MAJOR" ] || return 0
	PG_MAJOR=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | tail -1)
}

# While packages are configured no service starts or restarts, and a new server package makes no cluster.
install_packages()
(
	policy=/usr/sbin/policy-rc.d
	dropin=/etc/postgresql-common/createcluster.d/ml_ext-setup.conf
	undo="rm -f $dropin"
	[ -e $policy ] || undo="$undo $policy"
	trap 'as_root $undo' EXIT
	trap 'exit 1' HUP INT TERM
	[ -e $policy ] || as_root sh -c "printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy"
	as_root sh -c "mkdir -p ${dropin%/*} && echo 'create_main_cluster = false' >$dropin"
	as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
		apt-get install -y --no-install-recommends --no-upgrade "$@" >"$WORK/apt.log" 2>&1 ||
		{ cat "$WORK/apt.log"; exit 1; }
)

need_packages()
{
	command -v apt-get >/dev/null || die "this needs apt: Debian or one of its kin"
	find_server
	if [ -z "$PG_MAJOR" ]; then
		say "reading the package lists"
		as_root apt-get -qq update
		find_server
		[ -n "$PG_MAJOR" ] || die "apt knows no package postgresql"
	fi
	local missing="" package
	for package in "postgresql-$PG_MAJOR" "postgresql-server-dev-$PG_MAJOR" gcc make libc6-dev \
		libopenblas-serial-dev "$@"; do
		package=${package/@MAJOR@/$PG_MAJOR}
		installed "$package" || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	[ "$(id -u)" = 0 ] || command -v sudo >/dev/null || die "these packages are missing, and there is no sudo:$missing"
	say "installing$missing"
	as_root apt-get -qq update
	install_packages $missing
}

# PostgreSQL finds its files relative to its binary, so a copy in the same layout is an installation of its own.
copy_server()
{
	local lib=/usr/lib/postgresql/$PG_MAJOR share=/usr/share/postgresql/$PG_MAJOR
	mkdir -p "$WORK/usr/lib/postgresql" "$WORK/usr/share/postgresql" "$WORK/usr/include"
	cp -a "$lib" "$WORK/usr/lib/postgresql/"
	cp -a "$share" "$WORK/usr/share/postgresql/"
	ln -s /usr/include/postgresql "$WORK/usr/include/postgresql"
	BIN=$WORK/usr/lib/postgresql/$PG_MAJOR/bin
	# Ubuntu's of 14 does not look where it lies.
	if [ "$("$BIN/pg_config" --bindir)" != "$BIN" ]; then
		mv "$BIN/pg_config" "$BIN/pg_config.moved"
		printf '#!/bin/sh\n"$0.moved" "$@" | sed "s,\\(^\\|= \\)/usr/,\\1%s/usr/,"\n' "$WORK" >"$BIN/pg_config"
		chmod 755 "$BIN/pg_config"
	fi
}

# The checkout may be read-only, or closed to the user that builds.
copy_sources()
{
	mkdir "$WORK/src"
	tar -c --exclude=./.git --exclude='*.o' --exclude='*.a' --exclude='*.so' --exclude='./sql/ml_ext--?.?.?.sql' . |
		tar -x -C "$WORK/src" --no-same-owner
}

build()
{
	say "building for PostgreSQL $PG_MAJOR"
	as_server env PATH="$BIN:$PATH" make -s -C "$WORK/src" -j"$(nproc)" "$@" install PG_CONFIG="$BIN/pg_config" \
		>"$WORK/build.log" 2>&1 || { cat "$WORK/build.log"; die "the build failed"; }
}

# The server listens on a socket in the directory alone, which only its user and root can enter.
start_server()
{
	local options="-k $WORK -c listen_addresses="
	# Parallel workers talk through shared memory; /dev/shm may be missing, closed or tiny.
	[ "$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $6 == "/dev/shm" { print ($4 > 200000) }')" = 1 ] ||
		options="$options -c dynamic_shared_memory_type=mmap"
	as_server "$BIN/initdb" -D "$WORK/data" -A trust -U postgres -E UTF8 --locale=C.UTF-8 --no-sync >"$WORK/initdb.log" 2>&1 ||
		{ cat "$WORK/initdb.log"; die "initdb failed"; }
	as_server "$BIN/pg_ctl" -D "$WORK/data" -o "$options" -l "$WORK/server.log" -w -s start ||
		{ cat "$WORK/server.log"; die "the server did not start"; }
}

stop_server()
{
	[ ! -f "$WORK/data/postmaster.pid" ] ||
		as_server "$WORK"/usr/lib/postgresql/*/bin/pg_ctl -D "$WORK/data" -m immediate -w -s stop
}

# Fills WORK, an empty directory of the caller's; arguments are packages needed beside the usual ones.
make_workplace()
{
	need_packages "$@"
	copy_server
	copy_sources
	[ "$(id -u)" != 0 ] || chown -R "$(server_user)" "$WORK"
	cd "$WORK/src"
}
