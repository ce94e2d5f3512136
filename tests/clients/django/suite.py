"""Django: migrations forth and back, the ORM, atomic blocks, iterators, inspectdb, its own time-out."""

import datetime as dt
import decimal
import io
import os
import sys
import tempfile
import threading
import types
import uuid

import django
from django.conf import settings

from checks import HOLD, approving, check, equal, hold, raises, run, sees, ticket_state, told_of_a_hold

settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "shop"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": os.environ["PGDATABASE"], "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"],
            "USER": os.environ["PGUSER"], "PASSWORD": os.environ["PGPASSWORD"],
            # With a pool of its own or with bound parameters it talks in other ways.
            "OPTIONS": {"server_side_binding": bool(os.environ.get("BIND"))},
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)


def make_app():
    """An app "shop" with migrations that `makemigrations` can write into a directory that goes away."""
    place = tempfile.TemporaryDirectory()
    os.makedirs(f"{place.name}/shop/migrations")
    for name in ("shop/__init__.py", "shop/migrations/__init__.py", "shop/models.py"):
        open(f"{place.name}/{name}", "w").close()
    sys.path.insert(0, place.name)
    return place


place = make_app()
django.setup()

from django.contrib.postgres.fields import ArrayField  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import DataError, IntegrityError, OperationalError, connection, models, transaction  # noqa: E402
from django.db.models import Count, F, Sum  # noqa: E402


class Person(models.Model):
    name = models.CharField(max_length=50, unique=True)
    born = models.DateField(null=True)
    details = models.JSONField(default=dict)
    tags = ArrayField(models.TextField(), default=list)
    token = models.UUIDField(default=uuid.uuid4)
    photo = models.BinaryField(null=True)

    class Meta:
        app_label = "shop"


class Order(models.Model):
    person = models.ForeignKey(Person, models.CASCADE, related_name="orders")
    amount = models.DecimalField(max_digits=10, decimal_places=2)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "shop"
        indexes = [models.Index(fields=["amount"], condition=models.Q(amount__gt=10), name="big")]
        constraints = [models.CheckConstraint(condition=models.Q(amount__gt=0), name="some")]


if HOLD:

    class Held(models.Model):
        id = models.IntegerField(primary_key=True)
        note = models.TextField()

        class Meta:
            app_label = "shop"
            managed = False
            db_table = "held"


def command(*words, **options):
    out = io.StringIO()
    call_command(*words, stdout=out, verbosity=1, no_color=True, **options)
    return out.getvalue()


@check
def migrations():
    command("makemigrations", "shop")
    said = command("migrate")
    for line in ("Applying shop.0001_initial... OK", "Applying auth.0001_initial... OK"):
        equal(line in said, True)
    equal("No migrations to apply" in command("migrate"), True)
    Person.add_to_class("nick", models.CharField(max_length=9, null=True, db_index=True))
    command("makemigrations", "shop")
    equal("shop.0002" in command("migrate"), True)
    equal("Unapplying" in command("migrate", "shop", "0001"), True)
    command("migrate")
    equal("CREATE TABLE" in command("sqlmigrate", "shop", "0001"), True)
    equal(command("check", databases=["default"]).strip().startswith("System check identified no issues"), True)


@check
def objects():
    jana = Person.objects.create(
        name="Jana Žluťoučká 🐘 %", born=dt.date(1999, 2, 28), details={"a": [1, None]}, tags=["a", "b'"], photo=b"\0\xff",
    )
    jana.orders.create(amount=decimal.Decimal("10.50"))
    Order.objects.bulk_create([Order(person=jana, amount=number + 1) for number in range(1500)], batch_size=400)
    jana.refresh_from_db()
    equal((jana.details, jana.tags, bytes(jana.photo)), ({"a": [1, None]}, ["a", "b'"], b"\0\xff"))
    equal(Order.objects.filter(person__name__startswith="Jana").aggregate(Count("id"))["id__count"], 1501)
    equal(Order.objects.filter(amount__gt=1000).update(amount=F("amount") + 1), 500)
    equal(Person.objects.annotate(sum=Sum("orders__amount")).get().sum > 0, True)
    found, made = Person.objects.update_or_create(name="Other", defaults={"details": {"x": "ž"}})
    equal((made, Person.objects.filter(details__x="ž").count()), (True, 1))
    with transaction.atomic():
        equal(Person.objects.select_for_update().filter(tags__contains=["a"]).first().name, jana.name)
    equal(Person.objects.filter(name="Other").delete()[0], 1)


@check
def iterators_on_the_server():
    equal(sum(1 for _ in Order.objects.order_by("id").iterator(chunk_size=100)), 1501)
    with transaction.atomic():
        equal(sum(1 for _ in Order.objects.order_by("id").iterator(chunk_size=100)), 1501)


@check
def atomic_blocks():
    with raises(IntegrityError):
        with transaction.atomic():
            Person.objects.create(name="first")
            Person.objects.create(name="first")
    equal(Person.objects.filter(name="first").count(), 0)
    with transaction.atomic():
        Person.objects.create(name="outer")
        with raises(IntegrityError):
            with transaction.atomic():
                Order.objects.create(person=Person.objects.get(name="outer"), amount=-1)
        equal(Order.objects.filter(person__name="outer").count(), 0)
        later = []
        transaction.on_commit(lambda: later.append(1))
    equal((later, Person.objects.filter(name="outer").count()), ([1], 1))


@check
def raw_sql_and_errors():
    with connection.cursor() as cursor:
        cursor.execute("select %s, %s::int", ["ž", 5])
        equal(cursor.fetchone(), ("ž", 5))
        with raises(DataError):
            cursor.execute("select 1/0")
        cursor.execute("select current_setting('TimeZone')")
        equal(cursor.fetchone(), ("UTC",))


@check
def inspection():
    said = command("inspectdb")
    for line in ("class ShopPerson(models.Model)", "models.ForeignKey(", "JSONField", "max_digits=10"):
        equal((line, line in said), (line, True))
    equal("shop_order" in connection.introspection.table_names(), True)
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, "shop_order")
    equal({"big", "some"} <= set(found), True)


@check
def dumpdata_and_flush():
    dumped = f"{place.name}/dump.json"
    people = Person.objects.count()
    command("dumpdata", "shop", output=dumped)
    command("flush", interactive=False)
    equal(Person.objects.count(), 0)
    command("loaddata", dumped)
    equal(Person.objects.count(), people)


@check
def in_threads_and_again():
    found = []

    def work():
        found.append(Person.objects.count())
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(len(found), 10)
    connection.close()
    equal(Person.objects.count(), found[0])


@hold("approved")
def hold_approved():
    heard = []
    connection.ensure_connection()
    connection.connection.add_notice_handler(lambda it: heard.append(it.message_primary))
    with approving("marker-1"):
        Held.objects.create(id=1, note="marker-1")
    equal(Held.objects.get(id=1).note, "marker-1")
    sees(f"nothing: the request just takes longer (its psycopg connection hears: {told_of_a_hold(heard[0])})")


@hold("in a transaction")
def hold_in_a_transaction():
    with transaction.atomic():
        equal(Held.objects.filter(id=2).count(), 0)
        with approving("marker-2"):
            Held.objects.create(id=2, note="marker-2")
        equal(Held.objects.filter(id=2).count(), 1)
    equal(Held.objects.get(id=2).note, "marker-2")


@hold("own time-out")
def hold_own_time_out():
    # Django has none: what a watchdog of the application can do is to cancel the driver's connection.
    connection.ensure_connection()
    watchdog = threading.Timer(3, connection.connection.cancel_safe)
    watchdog.start()
    with raises(OperationalError):
        Held.objects.create(id=3, note="marker-3")
    equal(ticket_state("marker-3", "withdrawn"), "withdrawn")
    equal(Held.objects.filter(id=3).count(), 0)


run(django.__version__)
