#!/usr/bin/env python3
"""A job of many parts, made of one real part under other names: what merging costs.

    python3 benches/many_parts.py target/release/simic 100000

Prints seconds and peak memory of `simic shard status` and `simic shard merge` over that many parts of one run (three games) each.
"""
import json, os, subprocess, sys, tempfile, time

SIMIC, N = os.path.abspath(sys.argv[1]), int(sys.argv[2])


def fnv1a(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


with tempfile.TemporaryDirectory() as folder:
    job, one = os.path.join(folder, "job"), os.path.join(folder, "run000000.csv")
    with open(one, "w") as out:
        out.write("episode,config,val_accuracy\n")
        for episode in range(3):
            for mask in range(16):
                out.write(f"{episode},{mask:04b},{(mask * 37 + episode * 11) % 17 / 17}\n")
    call = lambda *a: subprocess.run([SIMIC, *a], check=True, stdout=subprocess.PIPE)
    call("shard", "plan", job, "--", "analyze", "shapley", one, "--no-config")
    call("shard", "exec", job, "--task", "0")
    head, find = open(f"{job}/parts/0", "rb").read().split(b"\n", 1)
    head = json.loads(head)
    line = open(f"{job}/plan.jsonl").read()
    document = json.load(open(f"{job}/job.json"))
    lines = [line.replace("run000000", f"run{i:06}").replace('"id":0', f'"id":{i}') for i in range(N)]
    plan = "".join(lines).encode()
    document["n_tasks"], document["plan_hash"] = N, fnv1a(plan)
    print_of = head["inputs"][0][1]
    document["inputs"] = {one.replace("run000000", f"run{i:06}"): print_of for i in range(N)}
    open(f"{job}/plan.jsonl", "wb").write(plan)
    # The last key is the hash of the text around it.
    bare = json.dumps(document | {"job_hash": ""})
    sealed = json.dumps(document | {"job_hash": fnv1a(bare.encode())})
    open(f"{job}/job.json", "w").write(sealed)
    for i in range(N):
        body = find.replace(b"run000000", b"run%06d" % i)
        head.update(task=i, plan_hash=document["plan_hash"], hash=fnv1a(body), bytes=len(body))
        head.update(task_hash=fnv1a(lines[i].rstrip("\n").encode()))
        head["inputs"] = [[one.replace("run000000", f"run{i:06}"), print_of]]
        with open(f"{job}/parts/{i}", "wb") as out:
            out.write(json.dumps(head).encode() + b"\n" + body)
    for verb in (["status"], ["merge", "--format", "table"], ["merge", "--format", "json"]):
        start = time.time()
        child = subprocess.Popen([SIMIC, "shard", verb[0], job, *verb[1:]], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        print(f"{' '.join(verb)}: {N} parts, {time.time() - start:.2f} s "
              f"({usage.ru_utime:.2f} s computing, {usage.ru_stime:.2f} s in the system), "
              f"{usage.ru_maxrss / 1024:.0f} MB, exit {os.waitstatus_to_exitcode(status)}")
