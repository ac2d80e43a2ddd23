#!/bin/bash
exec "$(dirname "$0")"/all 3 2 p2p
