# Completion of the quire command for bash.

_quire()
{
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} options i
	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		COMPREPLY=($(compgen -W "record replay check commute boot fuzz bench --help --version" -- "$current"))
		return
	fi
	case ${COMP_WORDS[1]} in
	record)
		# After --, complete the command to be recorded.
		for ((i = 2; i < COMP_CWORD; i++)); do
			if [ "${COMP_WORDS[i]}" = -- ]; then
				[ $((i + 1)) -eq "$COMP_CWORD" ] && COMPREPLY=($(compgen -c -- "$current"))
				return
			fi
		done
		case $previous in
		-m | --method)
			COMPREPLY=($(compgen -W "perf ptrace" -- "$current"))
			return
			;;
		esac
		options="--output --method --quiet --dump --help --"
		;;
	replay)
		case $previous in
		--without)
			COMPREPLY=($(compgen -W "fault-around order speculation vma-locks" -- "$current"))
			return
			;;
		-c | --cpus)
			COMPREPLY=($(compgen -W "1 2 4 8 16" -- "$current"))
			return
			;;
		-m | --memory)
			COMPREPLY=($(compgen -W "512M 1G 4G 16G" -- "$current"))
			return
			;;
		esac
		options="--cpus --memory --json --without --help"
		;;
	check)
		case $previous in
		--model)
			COMPREPLY=($(compgen -W "sc tso weak" -- "$current"))
			return
			;;
		--without)
			COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" check --list-safeguards 2>/dev/null | cut -d' ' -f1)" \
				-- "$current"))
			return
			;;
		esac
		options="--model --without --zoo --bound --random --pct --pos --seed --optimal --seconds --executions --jobs
			--shard --checkpoint --resume --replay --html --dot --lines --strict --verbose --json --list-safeguards --help"
		;;
	commute)
		# --list has operations, an empty line, placements.
		local words="/^$/q"
		case $previous in
		--placement | -p) words="1,/^$/d" ;;
		--html | --jobs | -j) return ;;
		esac
		options="--only --placement --html --strict --show-litmus --jobs --json --list --help"
		[[ $current == -* ]] || COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" commute --list 2>/dev/null |
			sed "$words" | cut -d' ' -f1)" -- "$current"))
		;;
	boot)
		# After --, complete the program to be run.
		for ((i = 2; i < COMP_CWORD; i++)); do
			if [ "${COMP_WORDS[i]}" = -- ]; then
				[ $((i + 1)) -eq "$COMP_CWORD" ] && COMPREPLY=($(compgen -c -f -- "$current"))
				return
			fi
		done
		case $previous in
		--without)
			COMPREPLY=($(compgen -W "fault-around vma-locks $("${COMP_WORDS[0]}" check --list-safeguards 2>/dev/null |
				cut -d' ' -f1)" -- "$current"))
			return
			;;
		-c | --cpus)
			COMPREPLY=($(compgen -W "1 2 3 4" -- "$current"))
			return
			;;
		-m | --memory)
			COMPREPLY=($(compgen -W "64M 256M 1G" -- "$current"))
			return
			;;
		-r | --root)
			COMPREPLY=($(compgen -d -- "$current"))
			return
			;;
		esac
		options="--cpus --memory --root --without --test --limit --stats --help --"
		;;
	fuzz)
		options="--ops --seconds --seed --replay --verbose --program --length --findings --no-shrink --blind
			--against-itself --threads --list --json --check --help"
		for ((i = 2; i < COMP_CWORD; i++)); do
			[ "${COMP_WORDS[i]}" != --check ] || options="--programs --seconds --seed --first --geometry --model
				--without --executions --jobs --findings --no-shrink --out --list --json --help"
		done
		case $previous in
		--threads)
			COMPREPLY=($(compgen -W "2 3 4" -- "$current"))
			return
			;;
		--model)
			COMPREPLY=($(compgen -W "sc tso weak" -- "$current"))
			return
			;;
		--geometry)
			COMPREPLY=($(compgen -W "mini four full" -- "$current"))
			return
			;;
		--without)
			COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" check --list-safeguards 2>/dev/null | cut -d' ' -f1)" \
				-- "$current"))
			return
			;;
		--out)
			COMPREPLY=($(compgen -d -- "$current"))
			return
			;;
		esac
		;;
	bench)
		if [ "$COMP_CWORD" -eq 2 ]; then
			COMPREPLY=($(compgen -W "scale --help" -- "$current"))
			return
		fi
		case $previous in
		--workload)
			COMPREPLY=($(compgen -W "faults dontneed remap" -- "$current"))
			return
			;;
		--cpus)
			COMPREPLY=($(compgen -W "8 64 256" -- "$current"))
			return
			;;
		esac
		options="--json --plot --workload --cpus --pages --repeat --no-host --no-model --help"
		;;
	*)
		return
		;;
	esac
	case $current in
	-*) COMPREPLY=($(compgen -W "$options" -- "$current")) ;;
	esac
}

complete -o default -F _quire quire
