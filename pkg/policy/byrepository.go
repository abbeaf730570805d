package policy

import "iter"

// byRepository finds the policies that could be about a repository without asking all of them. The zero value is empty.
type byRepository struct {
	literal  map[string][]int // by name, the policies that give it in full
	patterns []int            // those that give any pattern
}

// put takes in a policy's repositories. Numbers rise from call to call.
func (x *byRepository) put(number int, repositories []string) {
	pattern := false
	for _, name := range repositories {
		if !isLiteral(name) {
			pattern = true
		}
	}
	if pattern {
		x.patterns = append(x.patterns, number)
		return
	}
	if x.literal == nil {
		x.literal = map[string][]int{}
	}
	for _, name := range repositories {
		if list := x.literal[name]; len(list) == 0 || list[len(list)-1] != number {
			x.literal[name] = append(list, number)
		}
	}
}

// of lists the numbers of policies that could be about a repository, in order, each once.
func (x *byRepository) of(repository string) iter.Seq[int] {
	return func(yield func(int) bool) {
		a, b := x.literal[repository], x.patterns
		for len(a)+len(b) > 0 {
			least := &a
			if len(a) == 0 || len(b) > 0 && b[0] < a[0] {
				least = &b
			}
			if !yield((*least)[0]) {
				return
			}
			*least = (*least)[1:]
		}
	}
}
