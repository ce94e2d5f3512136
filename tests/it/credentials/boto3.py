# What boto3 makes of the same on the same clock: host, port, user, region and time from the arguments, keys from the environment.
import datetime
import sys

import boto3
import botocore.auth

host, port, user, region, stamp = sys.argv[1:]
now = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ")


class Clock(datetime.datetime):
    @classmethod
    def utcnow(cls):
        return now

    @classmethod
    def now(cls, tz=None):
        return now.replace(tzinfo=tz)


if hasattr(botocore.auth, "get_current_datetime"):
    botocore.auth.get_current_datetime = lambda *_, **__: now
else:
    botocore.auth.datetime.datetime = Clock
print(boto3.client("rds", region_name=region).generate_db_auth_token(host, int(port), user))
