#!/bin/sh
# Every backslash command of psql that looks at the database, bare and with each of its letters, without a pattern and
# with several. A command that a version lacks sends nothing.
echo "version $(psql --version | sed 's/[^0-9]*\([0-9.]*\).*/\1/')"
echo "did every \\d command, bare and with + and S, with and without patterns; \\l, \\z, \\sf, \\sv, \\ef, \\ev, \\lo_list, \\gdesc"

# echo would take some of the backslashes for its own.
say() {
    printf '%s\n' "$@"
}

{
    say '\conninfo' '\encoding'
    for letter in '' + S S+; do
        say "\\d$letter"
        for pattern in shop.people shop.orders shop.rooms shop.parts shop.parts_1 shop.animals shop.cats shop.scratch \
            shop.dear shop.numbers shop.sums shop.away shop.tickets shop.people_id_seq shop.orders_note \
            shop.parts_day_idx shop.pair shop.people_pkey 'shop.*' '"shop".or*' 'pg_catalog.pg_class'
        do
            say "\\d$letter $pattern"
        done
        for command in da dA dAc dAf dAo dAp db dc dC dconfig dd dD ddp des det deu dew df dfa dfn dfp dft dfw dF dFd dFp \
            dFt dg di dl dL dm dn do dO dp dP dPi dPt dPn dPtin drds drg dRp dRs ds dt dtvmsi dT du dv dE dx dX dy l z
        do
            for pattern in '' '*' 'shop.*' 'o*' 'news'; do
                say "\\$command$letter $pattern"
            done
        done
    done
    say '\dAc btree integer' '\dAf+ hash uuid' '\dAo btree uuid_ops' '\dAp+ hash text_ops' \
        '\df * integer' '\df+ shop.total int numeric' '\do = int4 int4' '\do - NONE int4' '\drds manager *' \
        '\dC int4' '\dconfig+ work*' '\sf shop.total' '\sf+ shop.touch()' '\sv shop.dear' '\sv+ shop.checked' \
        '\lo_list' '\lo_list+' '\dx hstore' '\d pg_toast.pg_toast_2619' '\dtS or*' '\dt pg_toast.*' \
        '\df shop.total integer' '\df pg_catalog.abs' '\di+ shop.orders*' '\do+ pg_catalog.- int4' \
        '\drds manager shop' '\dT+ shop.mood' '\dTS shop.mood' '\zS shop.*' '\z shop.orders' '\disS+ shop.*' \
        '\dtvmsS shop.*' '\dtS *.or*' '\df shop.total integer integer' '\d acc*' '\dFp+ shop.parser' \
        '\dF+ shop.plainly' '\ef shop.total' '\ev shop.dear' '\ef' '\ev' '\crosstabview' '\gdesc' \
        "select 1 as one, 'x'::text as two \\gdesc"
} >"$SCRATCH/commands"
PSQL_EDITOR=true psql -X -f "$SCRATCH/commands" >"$SCRATCH/out" 2>&1
