#!/bin/sh
# Starts one etcd, one BIND and four small APIs in a temporary folder, and stops them at its end.
set -eu
ETCD_PORT=${ETCD_PORT:-2379} ETCD_PEERS=${ETCD_PEERS:-2380} DNS_PORT=${DNS_PORT:-5354} API_PORT=${API_PORT:-9001}
PATH=$PATH:/usr/sbin
folder=$(mktemp -d)
running=
trap 'kill $running 2>/dev/null; wait; rm -rf "$folder"' EXIT
trap 'exit 0' INT TERM

# Each API responds with its own address.
for address in 127.0.0.2 127.0.0.3 127.0.0.4 127.0.0.5; do
    mkdir "$folder/$address"
    echo "$address" > "$folder/$address/name"
    python3 -m http.server "$API_PORT" --bind "$address" --directory "$folder/$address" >/dev/null 2>&1 &
    running="$running $!"
done

etcd --name example --data-dir "$folder/etcd" --listen-client-urls "http://127.0.0.1:$ETCD_PORT" \
    --advertise-client-urls "http://127.0.0.1:$ETCD_PORT" --listen-peer-urls "http://127.0.0.1:$ETCD_PEERS" \
    --initial-advertise-peer-urls "http://127.0.0.1:$ETCD_PEERS" --initial-cluster "example=http://127.0.0.1:$ETCD_PEERS" \
    2>"$folder/etcd.log" &
running="$running $!"

cat > "$folder/named.conf" <<CONF
options {
    directory "$folder"; listen-on port $DNS_PORT { 127.0.0.1; }; listen-on-v6 { none; };
    recursion no; dnssec-validation no; pid-file none; session-keyfile "$folder/session.key"; lock-file none;
};
controls { };
zone "example.test" { type primary; file "zone"; allow-update { 127.0.0.1; }; };
CONF
cat > "$folder/zone" <<ZONE
\$TTL 1
@     IN SOA ns.example.test. admin.example.test. 1 60 60 60 1
@     IN NS  ns.example.test.
ns    IN A   127.0.0.1
users IN A   127.0.0.2
ZONE
named -f -n 1 -c "$folder/named.conf" 2>"$folder/named.log" &
running="$running $!"

export ETCDCTL_API=3
until etcdctl --endpoints "http://127.0.0.1:$ETCD_PORT" put /services/orders/1 "http://127.0.0.4:$API_PORT" >/dev/null 2>&1; do
    sleep 0.2
done
echo "ready: press Ctrl-C to stop"
wait
